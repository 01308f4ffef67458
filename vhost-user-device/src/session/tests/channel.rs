// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Whole messages in, replies out, over a socket that brings and takes what it likes.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use super::{VERSION, is_closed, longs, message, request::*, words};
use crate::session::channel::{Channel, ChannelError, Envelope};
use crate::sys;

fn connected() -> (Channel, UnixStream) {
    let (back, front) = UnixStream::pair().expect("a pair of sockets");
    (Channel::new(back), front)
}

fn whole(channel: &mut Channel) -> Envelope {
    channel.receive().expect("no error").expect("a whole message")
}

fn is_waiting(channel: &mut Channel) -> bool {
    channel.receive().expect("no error").is_none()
}

fn write_with(front: &UnixStream, bytes: &[u8], fds: &[&UnixStream]) {
    let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
    assert_eq!(sys::send_with_fds(front.as_fd(), bytes, &fds).expect("sent"), bytes.len());
}

#[test]
fn nothing_written_is_no_message() {
    let (mut channel, _front) = connected();
    assert!(is_waiting(&mut channel));
}

#[test]
fn message_that_arrives_byte_by_byte_is_whole_at_its_last() {
    let (mut channel, mut front) = connected();
    let bytes = message(SET_FEATURES, VERSION, &longs(&[0x4000_0000]));
    let (last, before) = bytes.split_last().expect("bytes");
    for byte in before {
        front.write_all(&[*byte]).expect("written");
        assert!(is_waiting(&mut channel));
    }
    front.write_all(&[*last]).expect("written");
    let envelope = whole(&mut channel);
    assert_eq!((envelope.header.request, envelope.payload), (SET_FEATURES, longs(&[0x4000_0000])));
}

#[test]
fn message_without_payload_is_whole_with_its_header() {
    let (mut channel, mut front) = connected();
    front.write_all(&message(GET_FEATURES, VERSION, &[])).expect("written");
    let envelope = whole(&mut channel);
    assert_eq!((envelope.header.request, envelope.payload), (GET_FEATURES, Vec::new()));
}

#[test]
fn messages_written_at_once_are_received_one_by_one() {
    let (mut channel, mut front) = connected();
    let first = message(SET_VRING_NUM, VERSION, &words(&[0, 8]));
    let second = message(SET_VRING_BASE, VERSION, &words(&[0, 7]));
    front.write_all(&[first, second].concat()).expect("written");
    assert_eq!(whole(&mut channel).payload, words(&[0, 8]));
    assert_eq!(whole(&mut channel).payload, words(&[0, 7]));
    assert!(is_waiting(&mut channel));
}

#[test]
fn descriptors_stay_with_their_message_when_messages_are_written_back_to_back() {
    let (mut channel, front) = connected();
    let [kick, call] = [0, 1].map(|_| UnixStream::pair().expect("a pair of sockets"));
    write_with(&front, &message(SET_VRING_KICK, VERSION, &longs(&[0])), &[&kick.0]);
    write_with(&front, &message(GET_FEATURES, VERSION, &[]), &[]);
    write_with(&front, &message(SET_VRING_CALL, VERSION, &longs(&[0])), &[&call.0]);
    drop((kick.0, call.0));

    let first = whole(&mut channel);
    assert_eq!((first.header.request, first.fds.len()), (SET_VRING_KICK, 1));
    drop(first);
    assert!(is_closed(&kick.1) && !is_closed(&call.1), "the first message has the second's");
    let second = whole(&mut channel);
    assert_eq!((second.header.request, second.fds.len()), (GET_FEATURES, 0));
    let third = whole(&mut channel);
    assert_eq!((third.header.request, third.fds.len()), (SET_VRING_CALL, 1));
    drop(third);
    assert!(is_closed(&call.1));
}

#[test]
fn descriptors_that_come_with_the_payload_belong_to_the_message() {
    let (mut channel, mut front) = connected();
    let (fd, _peer) = UnixStream::pair().expect("a pair of sockets");
    let bytes = message(SET_VRING_KICK, VERSION, &longs(&[0]));
    let (header, payload) = bytes.split_at(12);
    front.write_all(header).expect("written");
    assert!(is_waiting(&mut channel));
    write_with(&front, payload, &[&fd]);
    assert_eq!(whole(&mut channel).fds.len(), 1);
}

#[test]
fn descriptors_of_a_half_message_are_closed_with_the_channel() {
    let (mut channel, front) = connected();
    let (fd, peer) = UnixStream::pair().expect("a pair of sockets");
    write_with(&front, &words(&[SET_VRING_KICK]), &[&fd]);
    drop(fd);
    assert!(is_waiting(&mut channel));
    assert!(!is_closed(&peer));
    drop(channel);
    assert!(is_closed(&peer));
}

#[test]
fn more_descriptors_than_can_be_taken_at_once_are_refused() {
    let (mut channel, front) = connected();
    let (fd, _peer) = UnixStream::pair().expect("a pair of sockets");
    write_with(&front, &message(GET_FEATURES, VERSION, &[]), &[&fd; 33]);
    let error = channel.receive().expect_err("refused");
    assert_eq!(error.to_string(), "a message came with more descriptors than can be taken");
}

#[test]
fn more_descriptors_than_can_be_taken_piece_by_piece_are_refused() {
    let (mut channel, front) = connected();
    let (fd, _peer) = UnixStream::pair().expect("a pair of sockets");
    write_with(&front, &words(&[GET_FEATURES]), &[&fd; 20]);
    assert!(is_waiting(&mut channel));
    write_with(&front, &words(&[VERSION]), &[&fd; 20]);
    let error = channel.receive().expect_err("refused");
    assert_eq!(error.to_string(), "a message came with more descriptors than can be taken");
}

#[test]
fn front_end_that_hangs_up_between_messages_is_said() {
    let (mut channel, mut front) = connected();
    front.write_all(&message(GET_FEATURES, VERSION, &[])).expect("written");
    drop(front);
    whole(&mut channel);
    let error = channel.receive().expect_err("hung up");
    assert!(matches!(error, ChannelError::HungUp));
    assert_eq!(error.to_string(), "the front end closed the connection");
}

#[test]
fn front_end_that_hangs_up_within_a_header_or_payload_is_said() {
    for len in [1, 11, 12, 19] {
        let (mut channel, mut front) = connected();
        let bytes = message(SET_FEATURES, VERSION, &longs(&[0]));
        front.write_all(&bytes[..len]).expect("written");
        drop(front);
        let error = channel.receive().expect_err("hung up");
        assert_eq!(error.to_string(), "the front end closed the connection within a message");
    }
}

#[test]
fn front_end_that_hangs_up_without_reading_its_reply_has_hung_up() {
    let (mut channel, front) = connected();
    channel.reply(&[1; 20]).expect("sent");
    drop(front);
    assert!(matches!(channel.receive(), Err(ChannelError::HungUp)));
}

#[test]
fn reply_to_a_front_end_that_has_gone_finds_that_it_hung_up() {
    let (mut channel, front) = connected();
    drop(front);
    assert!(matches!(channel.reply(&[1; 20]), Err(ChannelError::HungUp)));
}

#[test]
fn header_that_is_not_one_is_refused() {
    let (mut channel, mut front) = connected();
    front.write_all(&message(GET_FEATURES, 2, &[])).expect("written");
    let expected = "message 1 has flags 0x2, which are not those of a request";
    assert_eq!(channel.receive().expect_err("refused").to_string(), expected);
}

#[test]
fn reply_that_fits_is_sent_at_once() {
    let (mut channel, mut front) = connected();
    channel.reply(b"twelve bytes").expect("sent");
    assert!(!channel.has_unsent());
    let mut reply = [0; 12];
    front.read_exact(&mut reply).expect("a reply");
    assert_eq!(&reply, b"twelve bytes");
}

#[test]
fn replies_beyond_the_sockets_room_go_out_in_parts_and_in_order() {
    let (mut channel, mut front) = connected();
    front.set_nonblocking(true).expect("set O_NONBLOCK");
    let mut sent = Vec::new();
    for byte in (0..=u8::MAX).cycle() {
        channel.reply(&[byte; 4000]).expect("no error");
        sent.extend([byte; 4000]);
        if channel.has_unsent() {
            break;
        }
    }
    channel.flush().expect("no error");
    assert!(channel.has_unsent(), "there was no room");

    let mut received: Vec<u8> = Vec::new();
    while channel.has_unsent() || received.len() < sent.len() {
        let mut buffer = [0; 3000];
        match front.read(&mut buffer) {
            Ok(len) => received.extend(&buffer[..len]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                assert!(channel.has_unsent(), "bytes are missing");
            }
            Err(error) => panic!("{error}"),
        }
        channel.flush().expect("no error");
    }
    assert_eq!(received, sent);
}

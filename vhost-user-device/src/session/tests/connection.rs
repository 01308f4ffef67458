// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A connection: which messages are answered and how, when it ends, what comes after it.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::echo::{Echo, Event, Way};
use super::frontend::{Guest, Link, base};
use super::{NEED_REPLY, VERSION, longs, request::*, words};
use crate::VirtioFeatures;
use crate::session::{Backend, Ended, Interest, Phase, Threads};

const SUCCESS: u64 = 0;
const REFUSED: u64 = 1;

fn backend() -> Backend<Echo> {
    Backend::start(Echo::new(Way::AtOnce).0, &Threads::default()).expect("threads")
}

fn fault(text: &str) -> Option<Ended> {
    Some(Ended::Fault(text.to_owned()))
}

/// Waits for the end of a connection and returns why it ended.
fn ended(link: &mut Link<'_, Echo>) -> Option<Ended> {
    link.wait_until(|session| session.phase() == Phase::Ended);
    assert_eq!(link.session.interest(), Interest::Nothing);
    match link.session.ended()? {
        Ended::HungUp => Some(Ended::HungUp),
        Ended::Asked => Some(Ended::Asked),
        Ended::Fault(text) => Some(Ended::Fault(text.clone())),
    }
}

#[test]
fn session_begins_serving_and_wants_the_first_message() {
    let mut backend = backend();
    let link = Link::new(&mut backend);
    assert_eq!(
        (link.session.phase(), link.session.interest()),
        (Phase::Serving, Interest::Readable)
    );
    assert_eq!(link.session.ended(), None);
}

#[test]
fn message_that_asks_has_its_answer_without_reply_ack() {
    let mut backend = backend();
    let mut link = Link::new(&mut backend);
    link.tell(GET_QUEUE_NUM, &[]);
    assert_eq!(link.reply(GET_QUEUE_NUM), longs(&[3]));
}

#[test]
fn message_that_asks_has_one_answer_with_need_reply() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    assert_eq!(link.ask(GET_QUEUE_NUM, &[]), longs(&[3]));
    assert_eq!(link.ask(GET_MAX_MEM_SLOTS, &[]), longs(&[509]));
}

#[test]
fn need_reply_without_reply_ack_is_not_answered() {
    let mut backend = backend();
    let mut link = Link::new(&mut backend);
    link.send(SET_OWNER, VERSION | NEED_REPLY, &[], &[]);
    assert_eq!(link.ask(GET_QUEUE_NUM, &[]), longs(&[3]));
}

#[test]
fn reply_ack_without_need_reply_is_not_answered() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    link.tell(SET_OWNER, &[]);
    assert_eq!(link.ask(GET_QUEUE_NUM, &[]), longs(&[3]));
}

#[test]
fn need_reply_with_reply_ack_is_answered_with_success() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    assert_eq!(link.ask(SET_OWNER, &[]), longs(&[SUCCESS]));
}

#[test]
fn refused_message_with_reply_ack_is_said_and_the_connection_goes_on() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    assert_eq!(link.ask(SET_VRING_NUM, &words(&[0, 3])), longs(&[REFUSED]));
    assert_eq!(link.ask(SET_VRING_NUM, &words(&[0])), longs(&[REFUSED]));
    assert_eq!(link.ask(SET_VRING_NUM, &words(&[0, 4])), longs(&[SUCCESS]));
}

#[test]
fn refused_message_that_is_not_answered_ends_the_connection() {
    let mut backend = backend();
    let mut link = Link::new(&mut backend);
    link.send(SET_VRING_NUM, VERSION | NEED_REPLY, &words(&[0, 3]), &[]);
    let text = "SET_VRING_NUM refused, which the front end would not hear: \
                queue 0: size 3 is not a power of two up to 256";
    assert_eq!(ended(&mut link), fault(text));
}

#[test]
fn malformed_message_that_is_not_answered_ends_the_connection() {
    let mut backend = backend();
    let mut link = Link::new(&mut backend);
    link.tell(SET_MEM_TABLE, &words(&[u32::MAX, 0]));
    let text = "SET_MEM_TABLE refused, which the front end would not hear: \
                SET_MEM_TABLE came with 0 descriptors instead of 4294967295";
    assert_eq!(ended(&mut link), fault(text));
}

#[test]
fn refused_get_vring_base_ends_the_connection_for_its_reply_has_no_word_for_it() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    link.send(GET_VRING_BASE, VERSION | NEED_REPLY, &words(&[3, 0]), &[]);
    let text = "GET_VRING_BASE refused, which the front end would not hear: \
                there is no queue 3 of 3";
    assert_eq!(ended(&mut link), fault(text));
}

#[test]
fn unknown_message_is_ignored_or_answered_with_a_refusal() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    link.tell(99, &[1, 2, 3]);
    assert_eq!(link.ask(98, &[]), longs(&[REFUSED]));
    assert_eq!(link.ask(SEND_RARP, &[0; 24]), longs(&[REFUSED]));
    assert_eq!(link.ask(SET_OWNER, &[]), longs(&[SUCCESS]));
}

#[test]
fn config_write_that_is_refused_and_not_answered_is_survived() {
    let mut backend = backend();
    let mut link = Link::new(&mut backend);
    link.tell(SET_CONFIG, &[words(&[4, 1, 0]), vec![0]].concat());
    assert_eq!(link.ask(GET_QUEUE_NUM, &[]), longs(&[3]));
}

#[test]
fn config_change_is_told_while_the_connection_is_served() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    let (channel, mut peer) = UnixStream::pair().expect("a pair of sockets");
    link.send(SET_BACKEND_REQ_FD, VERSION, &[], &[channel.as_fd()]);
    link.apply(SET_PROTOCOL_FEATURES, &longs(&[1 << 3 | 1 << 5 | 1 << 9]));
    link.session.config_changed();
    let mut message = [0; 12];
    peer.set_nonblocking(true).expect("set O_NONBLOCK");
    peer.read_exact(&mut message).expect("a message");
    assert_eq!(message.as_slice(), words(&[2, 1, 0]));

    link.session.end();
    link.session.config_changed();
    peer.read_exact(&mut message).expect_err("nobody is told any more");
}

#[test]
fn header_that_is_none_ends_the_connection() {
    let mut backend = backend();
    let mut link = Link::new(&mut backend);
    link.send(GET_FEATURES, 0, &[], &[]);
    assert_eq!(
        ended(&mut link),
        fault("message 1 has flags 0x0, which are not those of a request")
    );
}

#[test]
fn front_end_that_hangs_up_ends_the_connection() {
    let mut backend = backend();
    let mut link = Link::new(&mut backend);
    link.front = UnixStream::pair().expect("a pair of sockets").0;
    assert_eq!(ended(&mut link), Some(Ended::HungUp));
}

#[test]
fn front_end_that_hangs_up_within_a_message_is_at_fault() {
    use std::io::Write;

    let mut backend = backend();
    let mut link = Link::new(&mut backend);
    link.front.write_all(&words(&[GET_FEATURES])).expect("written");
    link.front = UnixStream::pair().expect("a pair of sockets").0;
    assert_eq!(ended(&mut link), fault("the front end closed the connection within a message"));
}

#[test]
fn session_that_is_told_to_end_reads_no_message_any_more() {
    let mut backend = backend();
    let mut link = Link::new(&mut backend);
    link.tell(GET_QUEUE_NUM, &[]);
    link.session.end();
    link.session.on_socket();
    assert_eq!(ended(&mut link), Some(Ended::Asked));
    let Link { session, mut front } = link;
    drop(session);
    // Closed without a reply.
    assert_eq!(std::io::Read::read(&mut front, &mut [0]).expect("the end"), 0);
}

#[test]
fn turn_is_over_after_as_many_messages_as_one_may_have() {
    let mut backend = backend();
    let mut link = Link::new(&mut backend);
    for _ in 0..40 {
        link.tell(GET_QUEUE_NUM, &[]);
    }
    link.session.on_socket();
    link.front.set_nonblocking(true).expect("set O_NONBLOCK");
    let mut replies = vec![0; 64 * 20];
    let len = std::io::Read::read(&mut link.front, &mut replies).expect("replies");
    assert_eq!(len, 32 * 20);
    assert_eq!(link.session.interest(), Interest::Readable);
}

#[test]
fn front_end_that_reads_no_replies_is_waited_for_until_it_does() {
    let mut backend = backend();
    let mut link = Link::new(&mut backend);
    while link.session.interest() == Interest::Readable {
        link.tell(GET_CONFIG, &words(&[0, 4084, 0]));
        link.session.on_socket();
    }
    assert_eq!(link.session.interest(), Interest::Writable);
    link.front.set_nonblocking(true).expect("set O_NONBLOCK");
    let mut all = vec![0; 1 << 20];
    while std::io::Read::read(&mut link.front, &mut all).is_ok() {}
    link.session.on_socket();
    assert_eq!(link.session.interest(), Interest::Readable);
}

#[test]
fn next_connection_negotiates_anew_and_goes_on_where_its_front_end_says() {
    let (device, events) = Echo::new(Way::AtOnce);
    let mut backend: Backend<Echo> = Backend::start(device, &Threads::default()).expect("threads");
    let guest = Guest::new();
    for index in 0..3 {
        let mut link = Link::negotiated(&mut backend, &guest);
        let signals = link.start(0, u32::from(index));
        guest.offer(0, index, b"once");
        signals.kick.signal();
        while guest.used(0) == index {
            link.wait_for(std::os::fd::AsFd::as_fd(&signals.call));
            signals.call.clear();
        }
        assert_eq!(guest.answer(0, index), *b"once");
        let stopped = link.ask(GET_VRING_BASE, &words(&[0, 0]));
        assert_eq!(stopped, base(0, u32::from(index) + 1));
    }
    let features = VirtioFeatures::from_bits(1 << 30 | 1 << 32);
    let expected =
        [Event::Started(0, features), Event::Submitted, Event::Cancelled, Event::Dropped];
    for event in expected.repeat(3) {
        assert_eq!(events.recv_timeout(Duration::from_secs(20)), Ok(event));
    }
}

#[test]
fn next_connection_finds_nothing_of_the_one_before() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut first = Link::negotiated(&mut backend, &guest);
    first.start(0, 5);
    drop(first);
    let mut second = Link::new(&mut backend);
    assert_eq!(second.ask(GET_VRING_BASE, &words(&[0, 0])), base(0, 0));
    // Neither REPLY_ACK nor the queue's size is left.
    second.tell(SET_VRING_KICK, &longs(&[1 << 8]));
    let text = "SET_VRING_KICK refused, which the front end would not hear: \
                queue 0 has no size yet";
    assert_eq!(ended(&mut second), fault(text));
}

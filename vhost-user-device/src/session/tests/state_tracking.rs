// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What each message does to the state of a connection: in-flight region, dirty log, status, reset.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::echo::LONGEST;
use super::state::{
    HERE, LOG_ALL, PROTOCOL_FEATURES, apply, fd, payload, refusal, start, state, told, update,
    with_started,
};
use super::{is_closed, longs, words};
use crate::queue::Command;
use crate::ring::{InflightShape, new_region, region_len};
use crate::session::message::{FileRange, Message};
use crate::session::state::Answer;
use crate::sys;

const SHAPE: InflightShape = InflightShape { num_queues: 2, queue_size: 8 };

fn region(len: u64) -> FileRange {
    let file = new_region(SHAPE).expect("a region");
    FileRange { file, offset: 0, len }
}

fn whole_region() -> Message {
    Message::SetInflightFd(SHAPE, region(region_len(SHAPE)))
}

fn log() -> (Message, File) {
    let file = sys::memfd("log").expect("memfd");
    file.set_len(4096).expect("truncate");
    let ours = file.try_clone().expect("a descriptor");
    (Message::SetLogBase(FileRange { file, offset: 0, len: 4096 }), ours)
}

#[test]
fn new_inflight_region_has_room_for_what_was_asked() {
    let answer = apply(&mut state(), Message::GetInflightFd(SHAPE)).answer;
    let Answer::File(payload, file) = answer else { panic!("{answer:?}") };
    let len = file.metadata().expect("metadata").len();
    assert_eq!(len, 2 * 192);
    assert_eq!(payload, [longs(&[len, 0]), words(&[8 << 16 | 2, 0])].concat());
    assert!(file.set_len(0).is_err(), "its size can be changed");
}

#[test]
fn inflight_region_for_no_queue_or_too_many_is_not_to_be_had() {
    for (num_queues, queue_size) in [(0, 8), (4, 8), (2, 0), (2, LONGEST + 1)] {
        let shape = InflightShape { num_queues, queue_size };
        let shaped = u32::from(queue_size) << 16 | u32::from(num_queues);
        let expected = [longs(&[0, 0]), words(&[shaped, 0])].concat();
        assert_eq!(payload(&mut state(), Message::GetInflightFd(shape)), expected);
    }
    let most = InflightShape { num_queues: 3, queue_size: LONGEST };
    let answer = apply(&mut state(), Message::GetInflightFd(most)).answer;
    assert!(matches!(answer, Answer::File(..)), "{answer:?}");
}

#[test]
fn queue_that_starts_gets_its_part_of_the_inflight_region() {
    let mut state = state();
    assert_eq!(told(&mut state, whole_region()), []);
    for (index, has_part) in [(1, true), (2, false)] {
        apply(&mut state, Message::SetVringNum { index, num: 8 });
        let commands = apply(&mut state, Message::SetVringKick { index, fd: fd() }).commands;
        let [(_, Command::Start { inflight, .. })] = commands.as_slice() else {
            panic!("{commands:?}");
        };
        assert_eq!(inflight.is_some(), has_part, "queue {index}");
    }
}

#[test]
fn queue_longer_than_its_part_of_the_inflight_region_does_not_start() {
    let mut state = state();
    apply(&mut state, whole_region());
    for index in [1, 2] {
        apply(&mut state, Message::SetVringNum { index, num: 16 });
    }
    let text = refusal(&mut state, Message::SetVringKick { index: 1, fd: fd() });
    let expected = "queue 1: size 16 is more than the in-flight region has room for: 8";
    assert_eq!(text, expected);
    // One that runs is not tracked there.
    start(&mut state, 2);
    apply(&mut state, Message::GetVringBase { index: 2 });
    let mut state = with_started(&[0]);
    let short = InflightShape { num_queues: 1, queue_size: 4 };
    let file = new_region(short).expect("a region");
    let range = FileRange { file, offset: 0, len: region_len(short) };
    apply(&mut state, Message::SetInflightFd(short, range));
    update(&mut state, Message::SetVringKick { index: 0, fd: fd() });
}

#[test]
fn inflight_region_that_is_too_short_is_refused() {
    let text = refusal(&mut state(), Message::SetInflightFd(SHAPE, region(383)));
    assert_eq!(text, "use the in-flight region: it has 0x17f bytes and needs 0x180");
}

#[test]
fn log_reaches_running_queues_while_log_all_is_acked() {
    let mut state = with_started(&[1]);
    let (message, file) = log();
    let effect = apply(&mut state, message);
    let [(1, Command::Update(setup))] = effect.commands.as_slice() else {
        panic!("{:?}", effect.commands);
    };
    assert!(setup.log.is_none(), "LOG_ALL is not acked");
    let Answer::Payload(reply) = effect.answer else { panic!("{:?}", effect.answer) };
    assert_eq!(reply, longs(&[4096, 0]), "the request's own payload");

    let (_, setup) = update(&mut state, Message::SetFeatures(LOG_ALL));
    let log = setup.log.expect("a log");
    assert_eq!(log.used_ring, None);
    log.log.mark(0x1fff, 2);
    let mut bytes = [0; 2];
    file.read_exact_at(&mut bytes, 0).expect("bytes");
    assert_eq!(bytes, [0b110, 0]);

    let (_, setup) = update(&mut state, Message::SetFeatures(0));
    assert!(setup.log.is_none());
}

#[test]
fn used_ring_is_logged_where_set_vring_addr_says() {
    let mut state = with_started(&[1]);
    apply(&mut state, log().0);
    apply(&mut state, Message::SetFeatures(LOG_ALL));
    let addr = |log| Message::SetVringAddr { index: 1, addresses: HERE, log };
    let (_, setup) = update(&mut state, addr(Some(0x4000)));
    assert_eq!(setup.log.expect("a log").used_ring, Some(0x4000));
    let (_, setup) = update(&mut state, addr(None));
    assert_eq!(setup.log.expect("a log").used_ring, None);
}

#[test]
fn log_is_replaced_and_the_old_one_let_go() {
    let mut state = with_started(&[1]);
    apply(&mut state, Message::SetFeatures(LOG_ALL));
    let old = apply(&mut state, log().0);
    let new = apply(&mut state, log().0);
    let log_of = |effect: crate::session::state::Effect| match effect.commands.as_slice() {
        [(1, Command::Update(setup))] => Arc::downgrade(&setup.log.as_ref().expect("a log").log),
        other => panic!("{other:?}"),
    };
    let (old, new) = (log_of(old), log_of(new));
    assert_eq!((old.strong_count(), new.strong_count()), (0, 1));
}

#[test]
fn log_that_cannot_be_mapped_is_refused() {
    let file = sys::memfd("log").expect("memfd");
    let range = FileRange { file, offset: 0, len: 4096 };
    let text = refusal(&mut state(), Message::SetLogBase(range));
    assert_eq!(text, "map the dirty log: its file has 0x0 bytes");
}

#[test]
fn log_that_is_longer_than_guest_addresses_need_is_refused() {
    let file = sys::memfd("log").expect("memfd");
    file.set_len(1 << 38).expect("truncate");
    let range = |len| {
        let file = file.try_clone().expect("a descriptor");
        Message::SetLogBase(FileRange { file, offset: 0, len })
    };
    let text = refusal(&mut state(), range((1 << 37) + 1));
    assert_eq!(text, "the dirty log has 0x2000000001 bytes, more than guest addresses need");
    apply(&mut state(), range(1 << 37));
}

#[test]
fn log_descriptor_reaches_running_queues() {
    let mut state = with_started(&[1]);
    apply(&mut state, log().0);
    apply(&mut state, Message::SetFeatures(LOG_ALL));
    let (_, setup) = update(&mut state, Message::SetLogFd(fd().expect("an eventfd")));
    assert!(setup.log.expect("a log").notifier.is_some());
    let file = File::open("/dev/null").expect("a file");
    let text = refusal(&mut state, Message::SetLogFd(file.into()));
    assert_eq!(text, "descriptor for the dirty log is no eventfd, pipe or socket");
}

#[test]
fn status_is_kept_and_stops_nothing() {
    let mut state = with_started(&[0]);
    assert_eq!(payload(&mut state, Message::GetStatus), longs(&[0]));
    for status in [15, 0] {
        assert_eq!(told(&mut state, Message::SetStatus(status)), []);
        assert_eq!(payload(&mut state, Message::GetStatus), longs(&[status]));
    }
    let text = refusal(&mut state, Message::SetStatus(256));
    assert_eq!(text, "status 0x100 has more than eight bits");
}

#[test]
fn reset_stops_all_queues_and_forgets_them() {
    let mut state = with_started(&[0, 2]);
    let (call, peer) = UnixStream::pair().expect("a pair of sockets");
    apply(&mut state, Message::SetVringCall { index: 0, fd: Some(call.into()) });
    apply(&mut state, Message::SetVringErr { index: 0, fd: fd() });
    apply(&mut state, Message::SetFeatures(PROTOCOL_FEATURES));
    apply(&mut state, Message::SetVringEnable { index: 0, enable: 1 });
    apply(&mut state, Message::SetStatus(15));
    let effect = apply(&mut state, Message::ResetDevice);
    let stopped = effect.commands.iter().map(|(queue, _)| *queue).collect::<Vec<_>>();
    assert_eq!(stopped, [0, 2]);
    assert!(effect.commands.iter().all(|(_, command)| matches!(command, Command::Stop)));
    assert!(matches!(effect.answer, Answer::Reset), "{:?}", effect.answer);
    drop(effect);

    state.stopped(0, 17);
    state.reset();
    assert_eq!(state.next_avail(0), 0);
    assert_eq!(payload(&mut state, Message::GetStatus), longs(&[0]));
    assert!(!is_closed(&peer), "the call descriptor is kept");
    let text = refusal(&mut state, Message::SetVringKick { index: 0, fd: fd() });
    assert_eq!(text, "queue 0 has no size yet");
    apply(&mut state, Message::SetVringNum { index: 0, num: 8 });
    apply(&mut state, Message::SetFeatures(PROTOCOL_FEATURES));
    let (setup, next_avail) = start(&mut state, 0);
    assert!(!setup.enabled && setup.ring.is_none());
    assert!(setup.call.is_some() && setup.err.is_some(), "where to write to is kept");
    assert_eq!(next_avail, 0);
}

#[test]
fn config_change_is_told_where_it_is_wanted() {
    let mut state = state();
    let (channel, mut peer) = UnixStream::pair().expect("a pair of sockets");
    apply(&mut state, Message::SetBackendReqFd(channel.into()));
    for (protocol, told) in [(1 << 5, false), (1 << 9, false), (1 << 5 | 1 << 9, true)] {
        apply(&mut state, Message::SetProtocolFeatures(protocol));
        state.config_changed().expect("told or not");
        let mut bytes = [0; 13];
        peer.set_nonblocking(true).expect("set O_NONBLOCK");
        let read = peer.read(&mut bytes).unwrap_or(0);
        assert_eq!(&bytes[..read], if told { words(&[2, 1, 0]) } else { vec![] });
    }
}

#[test]
fn config_change_does_not_wait_for_room_in_the_channel() {
    let mut state = state();
    let (channel, mut peer) = UnixStream::pair().expect("a pair of sockets");
    apply(&mut state, Message::SetBackendReqFd(channel.into()));
    apply(&mut state, Message::SetProtocolFeatures(1 << 5 | 1 << 9));
    for _ in 0..10_000 {
        state.config_changed().expect("one is there");
    }
    peer.set_nonblocking(true).expect("set O_NONBLOCK");
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).expect_err("no more for now");
    assert!(bytes.len() < 10_000 * 12 && bytes.len().is_multiple_of(12), "{} bytes", bytes.len());
    drop(peer);
    state.config_changed().expect_err("nobody is there");
}

#[test]
fn back_channel_that_is_no_socket_is_refused() {
    let text = refusal(&mut state(), Message::SetBackendReqFd(fd().expect("an eventfd")));
    assert_eq!(text, "descriptor for requests of the back end is no socket");
}

#[test]
fn config_write_says_who_writes() {
    for (flags, offset) in [(0, 0), (1, 1)] {
        let message = |offset| Message::SetConfig { offset, data: vec![7], flags };
        assert_eq!(told(&mut state(), message(offset)), []);
        let text = refusal(&mut state(), message(1 - offset));
        assert!(text.starts_with("write the config space"), "{text}");
    }
}

#[test]
fn config_write_with_unknown_flags_is_refused() {
    let message = Message::SetConfig { offset: 0, data: vec![1], flags: 2 };
    let text = refusal(&mut state(), message);
    assert_eq!(text, "flags 0x2 of a write to the config space are not known");
}

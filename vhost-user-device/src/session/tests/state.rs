// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What each message does to the state of a connection: features, memory, config space.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use super::echo::{CONFIG, Echo, FEATURES, LONGEST, Way};
use super::{is_closed, longs, words};
use crate::causes;
use crate::memory::RegionSpan;
use crate::queue::{Command, Setup};
use crate::ring::RingAddresses;
use crate::session::message::Message;
use crate::session::state::{Answer, Effect, Refusal, State};
use crate::sys;

pub(super) const PROTOCOL_FEATURES: u64 = 1 << 30;
pub(super) const LOG_ALL: u64 = 1 << 26;
const RING_FEATURES: u64 = 1 << 28 | 1 << 29 | 1 << 32;
const USER: u64 = 0x7f00_0000_0000;
const LEN: u64 = 0x1_0000;

/// A ring that lies in [`region`], and one that does so elsewhere.
pub(super) const HERE: RingAddresses =
    RingAddresses { descriptors: USER, avail: USER + 0x4000, used: USER + 0x8000 };
pub(super) const THERE: RingAddresses =
    RingAddresses { descriptors: USER + 0x1000, avail: USER + 0x5000, used: USER + 0x9000 };

pub(super) fn state() -> State<Echo> {
    State::new(Echo::new(Way::AtOnce).0)
}

pub(super) fn span() -> RegionSpan {
    RegionSpan { guest: 0, len: LEN, user: USER, file_offset: 0 }
}

pub(super) fn region() -> (RegionSpan, File) {
    let file = sys::memfd("session").expect("memfd");
    file.set_len(LEN).expect("truncate");
    (span(), file)
}

pub(super) fn fd() -> Option<OwnedFd> {
    Some(sys::Eventfd::new().expect("an eventfd").into())
}

pub(super) fn apply(state: &mut State<Echo>, message: Message) -> Effect {
    state.apply(message).expect("applied")
}

/// The text of a refusal with its causes.
pub(super) fn refusal(state: &mut State<Echo>, message: Message) -> String {
    causes(&state.apply(message).expect_err("refused"))
}

/// The commands of a message that is answered with success: which queue is told what.
pub(super) fn told(state: &mut State<Echo>, message: Message) -> Vec<(u16, &'static str)> {
    let Effect { commands, answer } = apply(state, message);
    assert!(matches!(answer, Answer::Success), "{answer:?}");
    let name = |command| match command {
        Command::Start { .. } => "start",
        Command::Update(_) => "update",
        Command::Stop => "stop",
        _ => "nothing of the session's",
    };
    commands.into_iter().map(|(queue, command)| (queue, name(command))).collect()
}

/// The one new setup that a message makes, and for which queue.
pub(super) fn update(state: &mut State<Echo>, message: Message) -> (u16, Setup) {
    match <[_; 1]>::try_from(apply(state, message).commands) {
        Ok([(queue, Command::Update(setup))]) => (queue, setup),
        other => panic!("not one update: {other:?}"),
    }
}

/// The setup and the index that a queue is started with.
pub(super) fn start(state: &mut State<Echo>, index: u32) -> (Setup, u16) {
    let effect = apply(state, Message::SetVringKick { index, fd: fd() });
    match <[_; 1]>::try_from(effect.commands) {
        Ok([(queue, Command::Start { setup, next_avail, inflight: None })])
            if u32::from(queue) == index =>
        {
            (setup, next_avail)
        }
        other => panic!("not one start of queue {index}: {other:?}"),
    }
}

/// A state with memory and `queues` started queues.
pub(super) fn with_started(queues: &[u32]) -> State<Echo> {
    let mut state = state();
    apply(&mut state, Message::SetMemTable(vec![region()]));
    for index in queues.iter().copied() {
        apply(&mut state, Message::SetVringNum { index, num: 8 });
        apply(&mut state, Message::SetVringAddr { index, addresses: HERE, log: None });
        start(&mut state, index);
    }
    state
}

pub(super) fn payload(state: &mut State<Echo>, message: Message) -> Vec<u8> {
    match apply(state, message) {
        Effect { commands, answer: Answer::Payload(payload) } if commands.is_empty() => payload,
        other => panic!("not a payload alone: {other:?}"),
    }
}

fn no_commands() -> Vec<(u16, &'static str)> {
    Vec::new()
}

#[test]
fn features_of_device_ring_and_protocol_are_offered() {
    let expected = longs(&[FEATURES | RING_FEATURES | PROTOCOL_FEATURES | LOG_ALL]);
    assert_eq!(payload(&mut state(), Message::GetFeatures), expected);
}

#[test]
fn protocol_features_queues_and_slots_are_said() {
    let mut state = state();
    // MQ, LOG_SHMFD, REPLY_ACK, BACKEND_REQ, CONFIG, INFLIGHT_SHMFD, RESET_DEVICE,
    // CONFIGURE_MEM_SLOTS, STATUS.
    let bits = [0, 1, 3, 5, 9, 12, 13, 15, 16];
    let expected = longs(&[bits.iter().fold(0, |all, bit| all | 1 << bit)]);
    assert_eq!(payload(&mut state, Message::GetProtocolFeatures), expected);
    assert_eq!(payload(&mut state, Message::GetQueueNum), longs(&[3]));
    assert_eq!(payload(&mut state, Message::GetMaxMemSlots), longs(&[509]));
}

#[test]
fn features_that_were_not_offered_are_refused_and_named() {
    let text = refusal(&mut state(), Message::SetFeatures(FEATURES | 1 << 40 | 1));
    assert_eq!(text, "features 0x10000000001 were not offered");
}

#[test]
fn features_that_are_refused_leave_those_before() {
    let mut state = with_started(&[0]);
    apply(&mut state, Message::SetFeatures(FEATURES));
    refusal(&mut state, Message::SetFeatures(1));
    let (_, setup) = update(&mut state, Message::SetVringEnable { index: 0, enable: 1 });
    assert_eq!(setup.features.bits(), FEATURES);
}

#[test]
fn features_acked_again_replace_those_before() {
    let mut state = with_started(&[0]);
    apply(&mut state, Message::SetFeatures(FEATURES));
    let (_, setup) = update(&mut state, Message::SetFeatures(PROTOCOL_FEATURES));
    assert_eq!(setup.features.bits(), PROTOCOL_FEATURES);
}

#[test]
fn features_decide_about_indirect_descriptors() {
    let mut state = with_started(&[0]);
    let (_, setup) = update(&mut state, Message::SetFeatures(1 << 28));
    assert!(setup.rules.indirect);
    let (_, setup) = update(&mut state, Message::SetFeatures(0));
    assert!(!setup.rules.indirect);
    assert_eq!(setup.rules.longest, u32::from(LONGEST));
}

#[test]
fn protocol_features_that_were_not_offered_are_refused_and_named() {
    let text = refusal(&mut state(), Message::SetProtocolFeatures(1 << 3 | 1 << 2 | 1 << 63));
    assert_eq!(text, "protocol features 0x8000000000000004 were not offered");
}

#[test]
fn reply_ack_holds_from_its_negotiation_to_the_next() {
    let mut state = state();
    assert!(!state.has_reply_ack());
    apply(&mut state, Message::SetProtocolFeatures(1 << 3));
    assert!(state.has_reply_ack());
    apply(&mut state, Message::SetProtocolFeatures(0));
    assert!(!state.has_reply_ack());
}

#[test]
fn owner_and_negotiation_on_idle_queues_tell_nobody() {
    let mut state = state();
    for message in [
        Message::SetOwner,
        Message::SetProtocolFeatures(1 << 3),
        Message::SetFeatures(PROTOCOL_FEATURES),
        Message::SetOwner,
        Message::SetFeatures(0),
        Message::ResetOwner,
        Message::SetMemTable(vec![region()]),
    ] {
        assert_eq!(told(&mut state, message), no_commands());
    }
}

#[test]
fn memory_change_updates_every_started_queue_and_no_other() {
    let mut state = with_started(&[0, 2]);
    let both = vec![(0, "update"), (2, "update")];
    assert_eq!(told(&mut state, Message::SetMemTable(vec![region()])), both);
    assert_eq!(told(&mut state, Message::RemMemReg(span())), both);
    let (span, file) = region();
    assert_eq!(told(&mut state, Message::AddMemReg(span, file)), both);
}

#[test]
fn memory_removed_before_its_successor_comes_pauses_the_ring_until_then() {
    let mut state = with_started(&[1]);
    let (queue, setup) = update(&mut state, Message::RemMemReg(span()));
    assert!(queue == 1 && setup.ring.is_none());
    let (span, file) = region();
    let (queue, setup) = update(&mut state, Message::AddMemReg(span, file));
    assert!(queue == 1 && setup.ring.is_some());
}

#[test]
fn memory_table_replaces_the_one_before() {
    let mut state = with_started(&[0]);
    let (_, setup) = update(&mut state, Message::SetMemTable(Vec::new()));
    assert!(setup.ring.is_none());
}

#[test]
fn memory_that_is_refused_is_said_with_its_cause_and_changes_nothing() {
    let mut state = with_started(&[0]);
    let here = "guest 0x0 user 0x7f0000000000 + 0x10000 at file offset 0x0";
    let (_, file) = region();
    assert_eq!(
        refusal(&mut state, Message::AddMemReg(span(), file)),
        format!("change the memory table: memory region {here} overlaps {here}")
    );
    let elsewhere = RegionSpan { guest: LEN, ..span() };
    assert_eq!(
        refusal(&mut state, Message::RemMemReg(elsewhere)),
        "change the memory table: memory region guest 0x10000 user 0x7f0000000000 + 0x10000 \
         at file offset 0x0 is not in the table"
    );
    let short = sys::memfd("short").expect("memfd");
    assert_eq!(
        refusal(&mut state, Message::SetMemTable(vec![(span(), short)])),
        format!("change the memory table: map memory region {here}: its file has 0x0 bytes")
    );
    let (_, setup) = update(&mut state, Message::SetVringEnable { index: 0, enable: 1 });
    assert!(setup.ring.is_some());
}

#[test]
fn config_is_read_behind_the_header_that_asked() {
    let mut state = state();
    let read = payload(&mut state, Message::GetConfig { offset: 2, size: 4, flags: 1 });
    assert_eq!(read, [words(&[2, 4, 1]), CONFIG[2..6].to_vec()].concat());
}

#[test]
fn config_beyond_its_end_is_zeroes() {
    let mut state = state();
    let read = payload(&mut state, Message::GetConfig { offset: 6, size: 4, flags: 0 });
    assert_eq!(read, [words(&[6, 4, 0]), b"ig\0\0".to_vec()].concat());
}

#[test]
fn config_up_to_the_longest_payload_is_read() {
    let mut state = state();
    let read = payload(&mut state, Message::GetConfig { offset: 0, size: 4084, flags: 0 });
    assert_eq!(read.len(), 4096);
}

#[test]
fn config_that_cannot_be_read_is_an_empty_payload() {
    for (offset, size) in [(0, 0), (0, 4085), (4084, 1), (u32::MAX, u32::MAX), (0, u32::MAX)] {
        let read = payload(&mut state(), Message::GetConfig { offset, size, flags: 0 });
        assert_eq!(read, [], "{offset} + {size}");
    }
}

#[test]
fn config_write_reaches_the_device() {
    let message = Message::SetConfig { offset: 0, data: vec![1], flags: 0 };
    assert_eq!(told(&mut state(), message), no_commands());
}

#[test]
fn config_write_that_the_device_refuses_is_no_reason_to_drop_the_connection() {
    let message = Message::SetConfig { offset: 3, data: vec![1, 2], flags: 0 };
    let refusal = state().apply(message).expect_err("refused");
    let text = "write the config space: config space takes no write of 2 bytes at offset 3";
    assert_eq!(causes(&refusal), text);
    assert!(!refusal.is_fatal());
}

#[test]
fn refusals_of_what_the_front_end_says_are_fatal() {
    assert!(Refusal::Features(1).is_fatal());
    assert!(Refusal::NoSize { index: 0 }.is_fatal());
    assert!(Refusal::Running { index: 0 }.is_fatal());
}

#[test]
fn backend_channel_is_kept_until_another_comes() {
    let mut state = state();
    let (first, peer) = UnixStream::pair().expect("a pair of sockets");
    apply(&mut state, Message::SetBackendReqFd(first.into()));
    assert!(!is_closed(&peer));
    let (second, other) = UnixStream::pair().expect("a pair of sockets");
    apply(&mut state, Message::SetBackendReqFd(second.into()));
    assert!(is_closed(&peer) && !is_closed(&other));
}

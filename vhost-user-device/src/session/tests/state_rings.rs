// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What each message about a ring does to the state of a connection, in any order.

use std::os::fd::AsRawFd;

use super::state::{
    HERE, PROTOCOL_FEATURES, THERE, apply, fd, refusal, region, start, state, told, update,
    with_started,
};
use crate::queue::Command;
use crate::ring::RingAddresses;
use crate::session::message::Message;
use crate::session::state::{Answer, Effect};

fn enable(index: u32, enable: u32) -> Message {
    Message::SetVringEnable { index, enable }
}

fn num(index: u32, num: u32) -> Message {
    Message::SetVringNum { index, num }
}

#[test]
fn kick_starts_the_ring_at_its_base() {
    let mut state = with_started(&[]);
    apply(&mut state, num(2, 16));
    apply(&mut state, Message::SetVringAddr { index: 2, addresses: HERE, log: None });
    apply(&mut state, Message::SetVringBase { index: 2, base: 0xffff });
    let (setup, next_avail) = start(&mut state, 2);
    assert!(setup.ring.is_some() && setup.kick.is_some());
    assert_eq!(next_avail, 0xffff);
}

#[test]
fn kick_before_addresses_or_memory_starts_a_paused_ring() {
    let mut state = state();
    apply(&mut state, num(0, 8));
    let (setup, _) = start(&mut state, 0);
    assert!(setup.ring.is_none(), "it has no addresses");
    let (_, setup) =
        update(&mut state, Message::SetVringAddr { index: 0, addresses: HERE, log: None });
    assert!(setup.ring.is_none(), "there is no memory");
    let (_, setup) = update(&mut state, Message::SetMemTable(vec![region()]));
    assert!(setup.ring.is_some());
}

#[test]
fn kick_without_descriptor_starts_a_ring_that_is_polled() {
    let mut state = with_started(&[]);
    apply(&mut state, num(0, 8));
    let kick = Message::SetVringKick { index: 0, fd: None };
    let Effect { commands, answer: Answer::Success } = apply(&mut state, kick) else {
        panic!("not answered with success");
    };
    let [(0, Command::Start { setup, .. })] = commands.as_slice() else { panic!("{commands:?}") };
    assert!(setup.kick.is_none());
}

#[test]
fn kick_on_a_running_ring_replaces_the_descriptor() {
    let mut state = with_started(&[0]);
    let kick = fd();
    let raw = kick.as_ref().map(AsRawFd::as_raw_fd);
    let (_, setup) = update(&mut state, Message::SetVringKick { index: 0, fd: kick });
    assert_eq!(setup.kick.map(|kick| kick.fd().as_raw_fd()), raw);
}

#[test]
fn kick_of_a_ring_without_size_is_refused() {
    let mut state = with_started(&[]);
    let kick = Message::SetVringKick { index: 1, fd: fd() };
    assert_eq!(refusal(&mut state, kick), "queue 1 has no size yet");
    assert_eq!(told(&mut state, enable(1, 1)), [], "it was not started");
}

#[test]
fn call_and_err_on_an_idle_ring_are_kept_until_it_starts() {
    let mut state = with_started(&[]);
    let (call, err) = (fd(), fd());
    let [raw_call, raw_err] = [&call, &err].map(|fd| fd.as_ref().map(AsRawFd::as_raw_fd));
    assert_eq!(told(&mut state, Message::SetVringCall { index: 0, fd: call }), []);
    assert_eq!(told(&mut state, Message::SetVringErr { index: 0, fd: err }), []);
    apply(&mut state, num(0, 8));
    let (setup, _) = start(&mut state, 0);
    assert_eq!(setup.call.map(|fd| fd.fd().as_raw_fd()), raw_call);
    assert_eq!(setup.err.map(|fd| fd.fd().as_raw_fd()), raw_err);
}

#[test]
fn call_and_err_on_a_running_ring_are_replaced_or_taken_away() {
    let mut state = with_started(&[1]);
    let (_, setup) = update(&mut state, Message::SetVringCall { index: 1, fd: fd() });
    assert!(setup.call.is_some() && setup.err.is_none());
    let (_, setup) = update(&mut state, Message::SetVringErr { index: 1, fd: fd() });
    assert!(setup.call.is_some() && setup.err.is_some());
    let (_, setup) = update(&mut state, Message::SetVringCall { index: 1, fd: None });
    assert!(setup.call.is_none() && setup.err.is_some());
}

#[test]
fn descriptor_that_cannot_notify_is_refused() {
    let mut state = with_started(&[]);
    apply(&mut state, num(1, 8));
    let file = || Some(crate::sys::memfd("no notifier").expect("memfd").into());
    for message in [
        Message::SetVringKick { index: 1, fd: file() },
        Message::SetVringCall { index: 1, fd: file() },
        Message::SetVringErr { index: 1, fd: file() },
    ] {
        let expected = "queue 1: descriptor is no eventfd, pipe or socket";
        assert_eq!(refusal(&mut state, message), expected);
    }
    assert_eq!(told(&mut state, enable(1, 1)), [], "it was not started");
}

#[test]
fn enable_before_features_survives_them() {
    let mut state = with_started(&[0, 1]);
    apply(&mut state, enable(0, 1));
    let effect = apply(&mut state, Message::SetFeatures(PROTOCOL_FEATURES));
    let enabled: Vec<_> = effect
        .commands
        .iter()
        .map(|(queue, command)| match command {
            Command::Update(setup) => (*queue, setup.enabled),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(enabled, [(0, true), (1, false)]);
}

#[test]
fn enable_survives_repeated_negotiation() {
    let mut state = with_started(&[0]);
    apply(&mut state, Message::SetFeatures(PROTOCOL_FEATURES));
    apply(&mut state, enable(0, 1));
    apply(&mut state, Message::SetProtocolFeatures(0));
    let (_, setup) = update(&mut state, Message::SetFeatures(PROTOCOL_FEATURES));
    assert!(setup.enabled);
}

#[test]
fn enable_survives_a_stop() {
    let mut state = with_started(&[0]);
    apply(&mut state, Message::SetFeatures(PROTOCOL_FEATURES));
    apply(&mut state, enable(0, 1));
    apply(&mut state, Message::GetVringBase { index: 0 });
    assert!(start(&mut state, 0).0.enabled);
}

#[test]
fn ring_is_disabled_until_it_is_enabled() {
    let mut state = with_started(&[]);
    apply(&mut state, Message::SetFeatures(PROTOCOL_FEATURES));
    apply(&mut state, num(0, 8));
    assert!(!start(&mut state, 0).0.enabled);
    let (_, setup) = update(&mut state, enable(0, 1));
    assert!(setup.enabled);
    let (_, setup) = update(&mut state, enable(0, 0));
    assert!(!setup.enabled);
}

#[test]
fn ring_without_protocol_features_counts_as_enabled() {
    let mut state = with_started(&[0]);
    let (_, setup) = update(&mut state, Message::SetFeatures(1 << 32));
    assert!(setup.enabled);
}

#[test]
fn enable_of_a_ring_that_was_never_configured_tells_nobody() {
    assert_eq!(told(&mut state(), enable(2, 1)), []);
}

#[test]
fn enable_that_is_neither_0_nor_1_is_refused() {
    let expected = "queue 1: enable 2 is neither 0 nor 1";
    assert_eq!(refusal(&mut state(), enable(1, 2)), expected);
}

#[test]
fn size_that_is_no_power_of_two_or_too_long_is_refused() {
    for bad in [0, 3, 512, 0x1_0008, u32::MAX] {
        let expected = format!("queue 0: size {bad} is not a power of two up to 256");
        assert_eq!(refusal(&mut state(), num(0, bad)), expected);
    }
}

#[test]
fn size_up_to_the_devices_longest_is_taken() {
    for good in [1, 2, 256] {
        assert_eq!(told(&mut state(), num(0, good)), []);
    }
}

#[test]
fn size_and_base_of_a_running_ring_are_refused() {
    let mut state = with_started(&[1]);
    assert_eq!(refusal(&mut state, num(1, 8)), "queue 1 is running");
    let base = Message::SetVringBase { index: 1, base: 0 };
    assert_eq!(refusal(&mut state, base), "queue 1 is running");
}

#[test]
fn base_beyond_16_bits_is_refused() {
    let base = Message::SetVringBase { index: 1, base: 0x1_0000 };
    assert_eq!(refusal(&mut state(), base), "queue 1: base 65536 is not a 16-bit index");
}

#[test]
fn addresses_on_a_running_ring_change_pointers_and_no_index() {
    let mut state = with_started(&[0]);
    let addr = Message::SetVringAddr { index: 0, addresses: THERE, log: None };
    assert_eq!(told(&mut state, addr), [(0, "update")]);
}

#[test]
fn addresses_that_do_not_translate_pause_a_running_ring() {
    let mut state = with_started(&[0]);
    let addresses = RingAddresses { used: 0x1000, ..HERE };
    let (_, setup) = update(&mut state, Message::SetVringAddr { index: 0, addresses, log: None });
    assert!(setup.ring.is_none());
}

#[test]
fn addresses_that_are_not_aligned_are_refused_and_named() {
    let addresses = RingAddresses { descriptors: 0x1008, avail: 0x2000, used: 0x3000 };
    let text = refusal(&mut state(), Message::SetVringAddr { index: 0, addresses, log: None });
    let shown = "RingAddresses { descriptors: 1008, avail: 2000, used: 3000 }";
    assert_eq!(text, format!("queue 0: {shown} are not aligned"));
    for addresses in [
        RingAddresses { avail: HERE.avail + 1, ..HERE },
        RingAddresses { used: HERE.used + 2, ..HERE },
    ] {
        let text = refusal(&mut state(), Message::SetVringAddr { index: 0, addresses, log: None });
        assert!(text.ends_with("are not aligned"), "{text}");
    }
}

#[test]
fn queue_that_is_not_there_is_refused() {
    for index in [3, 0x1_0000, u32::MAX] {
        let expected = format!("there is no queue {index} of 3");
        for message in [
            num(index, 8),
            Message::SetVringAddr { index, addresses: HERE, log: None },
            Message::SetVringBase { index, base: 0 },
            Message::GetVringBase { index },
            Message::SetVringKick { index, fd: fd() },
            Message::SetVringCall { index, fd: fd() },
            Message::SetVringErr { index, fd: fd() },
            enable(index, 1),
        ] {
            assert_eq!(refusal(&mut state(), message), expected);
        }
    }
}

#[test]
fn get_vring_base_stops_the_ring_and_answers_where_it_stopped() {
    let mut state = with_started(&[0, 1]);
    let effect = apply(&mut state, Message::GetVringBase { index: 1 });
    assert!(matches!(effect.commands.as_slice(), [(1, Command::Stop)]), "{effect:?}");
    assert!(matches!(effect.answer, Answer::Base(1)), "{:?}", effect.answer);
    state.stopped(1, 77);
    assert_eq!((state.next_avail(0), state.next_avail(1)), (0, 77));
}

#[test]
fn get_vring_base_of_a_ring_that_does_not_run_answers_where_it_stands() {
    let mut state = with_started(&[0]);
    apply(&mut state, Message::GetVringBase { index: 0 });
    state.stopped(0, 77);
    let effect = apply(&mut state, Message::GetVringBase { index: 0 });
    assert!(effect.commands.is_empty(), "{effect:?}");
    assert!(matches!(effect.answer, Answer::Base(0)), "{:?}", effect.answer);
    assert_eq!(state.next_avail(0), 77);
}

#[test]
fn ring_that_was_stopped_starts_again_where_it_stopped() {
    let mut state = with_started(&[0]);
    apply(&mut state, Message::GetVringBase { index: 0 });
    state.stopped(0, 77);
    assert_eq!(start(&mut state, 0).1, 77);
}

#[test]
fn ring_that_was_stopped_may_change_its_size_and_base() {
    let mut state = with_started(&[0]);
    apply(&mut state, Message::GetVringBase { index: 0 });
    apply(&mut state, num(0, 16));
    apply(&mut state, Message::SetVringBase { index: 0, base: 5 });
    assert_eq!(start(&mut state, 0).1, 5);
}

#[test]
fn reset_owner_disables_rings_and_stops_none() {
    let mut state = with_started(&[0]);
    apply(&mut state, Message::SetFeatures(PROTOCOL_FEATURES));
    apply(&mut state, enable(0, 1));
    let (_, setup) = update(&mut state, Message::ResetOwner);
    assert!(!setup.enabled && setup.ring.is_some());
}

#[test]
fn end_of_the_connection_stops_each_started_queue_once() {
    let mut state = with_started(&[0, 2]);
    let stopped: Vec<_> = state.stop_all().iter().map(|(queue, _)| *queue).collect();
    assert_eq!(stopped, [0, 2]);
    assert!(state.stop_all().is_empty());
}

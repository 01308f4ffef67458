// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Queues that run: requests, kicks and calls, disabled, paused and broken rings.

use std::os::fd::AsFd;
use std::sync::mpsc::{channel, sync_channel};
use std::thread;
use std::time::Duration;

use super::echo::{Echo, Event, Way, echo};
use super::frontend::{Guest, Link, Signals, base, count};
use super::{longs, request::*, words};
use crate::Device;
use crate::session::{Backend, Phase, Threads};

const LONG: Duration = Duration::from_secs(20);

/// Waits until as many requests of a queue are used.
fn wait_for_used<D: Device>(
    link: &mut Link<'_, D>,
    guest: &Guest,
    (queue, signals): (u32, &Signals),
    used: u16,
) {
    while guest.used(queue) != used {
        link.wait_for(signals.call.as_fd());
        signals.call.clear();
    }
}

fn backend() -> Backend<Echo> {
    Backend::start(Echo::new(Way::AtOnce).0, &Threads::default()).expect("threads")
}

#[test]
fn request_is_served_and_the_driver_called() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(1, 0);
    guest.offer(1, 0, b"ping");
    signals.kick.signal();
    wait_for_used(&mut link, &guest, (1, &signals), 1);
    assert_eq!(guest.answer(1, 0), *b"ping");
    assert_eq!(guest.used_element(1, 0), (0, 4));
}

#[test]
fn request_made_before_the_start_is_served_without_a_kick() {
    let (mut backend, guest) = (backend(), Guest::new());
    guest.offer(0, 0, b"ping");
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    wait_for_used(&mut link, &guest, (0, &signals), 1);
    assert_eq!(guest.answer(0, 0), *b"ping");
}

#[test]
fn requests_beyond_the_rings_size_wrap_around() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    for index in 0..20 {
        guest.offer(0, index, &u32::from(index).to_le_bytes());
        signals.kick.signal();
        wait_for_used(&mut link, &guest, (0, &signals), index + 1);
        assert_eq!(guest.answer(0, index), u32::from(index).to_le_bytes());
    }
    assert_eq!(link.ask(GET_VRING_BASE, &words(&[0, 0])), base(0, 20));
}

#[test]
fn call_is_signalled_once_at_start() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    assert_eq!((count(&signals.call), count(&signals.err)), (1, 0));
    link.apply(SET_VRING_ENABLE, &words(&[0, 1]));
    assert_eq!(count(&signals.call), 0);
}

#[test]
fn call_descriptor_that_comes_after_requests_were_used_is_signalled() {
    let (device, events) = Echo::<false>::new(Way::AtOnce);
    let mut backend = Backend::start(device, &Threads::default()).expect("threads");
    let guest = Guest::new();
    let mut link = Link::negotiated(&mut backend, &guest);
    guest.offer(0, 0, b"ping");
    let signals = Signals::new();
    link.configure(0, 0);
    link.tell(SET_VRING_ENABLE, &words(&[0, 1]));
    link.give(SET_VRING_KICK, 0, &signals.kick);
    link.session.on_socket();
    assert!(matches!(events.recv_timeout(LONG), Ok(Event::Started(0, _))));
    assert_eq!(events.recv_timeout(LONG), Ok(Event::Submitted));
    // The round that took the request is over when the next message is applied.
    link.apply(SET_VRING_ENABLE, &words(&[0, 1]));
    assert_eq!(guest.used(0), 1);
    link.give(SET_VRING_CALL, 0, &signals.call);
    link.wait_for(signals.call.as_fd());
}

#[test]
fn call_descriptor_that_replaces_another_is_signalled() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    link.start(0, 0);
    let other = Signals::new();
    link.give(SET_VRING_CALL, 0, &other.call);
    link.wait_for(other.call.as_fd());
}

#[test]
fn kick_descriptor_that_replaces_another_is_heard() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    let other = Signals::new();
    link.give(SET_VRING_KICK, 0, &other.kick);
    link.apply(SET_OWNER, &[]);
    guest.offer(0, 0, b"ping");
    other.kick.signal();
    wait_for_used(&mut link, &guest, (0, &signals), 1);
}

#[test]
fn ring_without_kick_descriptor_is_looked_at() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    link.apply(SET_VRING_KICK, &longs(&[1 << 8]));
    guest.offer(0, 0, b"ping");
    wait_for_used(&mut link, &guest, (0, &signals), 1);
}

#[test]
fn request_is_completed_by_another_thread() {
    let (sender, requests) = channel();
    let (device, _events) = Echo::<false>::new(Way::Hand(sender));
    let mut backend = Backend::start(device, &Threads::default()).expect("threads");
    let pool = thread::spawn(move || {
        for request in requests {
            let written = echo(&request);
            request.send_home(written);
        }
    });
    let guest = Guest::new();
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(2, 0);
    for index in 0..9 {
        guest.offer(2, index, b"pool");
        signals.kick.signal();
        wait_for_used(&mut link, &guest, (2, &signals), index + 1);
        assert_eq!(guest.answer(2, index), *b"pool");
    }
    drop(link);
    drop(backend);
    pool.join().expect("the pool has ended");
}

#[test]
fn disabled_queue_leaves_requests_where_they_are() {
    let (device, _events) = Echo::<false>::new(Way::AtOnce);
    let mut backend = Backend::start(device.clone(), &Threads::default()).expect("threads");
    let guest = Guest::new();
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    link.apply(SET_VRING_ENABLE, &words(&[0, 0]));
    guest.offer(0, 0, b"ping");
    signals.kick.signal();
    // A round that began before the request was made is over when the first of these is applied.
    link.apply(SET_VRING_ENABLE, &words(&[0, 0]));
    let round = device.next_round();
    link.apply(SET_VRING_ENABLE, &words(&[0, 0]));
    assert_eq!(round.recv_timeout(LONG), Ok(()));
    assert_eq!(link.ask(GET_VRING_BASE, &words(&[0, 0])), base(0, 0));
    assert_eq!(guest.used(0), 0);
}

#[test]
fn disabled_queue_serves_what_it_left_when_it_is_enabled_again() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    link.apply(SET_VRING_ENABLE, &words(&[0, 0]));
    guest.offer(0, 0, b"ping");
    signals.kick.signal();
    link.apply(SET_VRING_ENABLE, &words(&[0, 1]));
    wait_for_used(&mut link, &guest, (0, &signals), 1);
    assert_eq!(guest.answer(0, 0), *b"ping");
}

#[test]
fn disabled_queue_that_discards_completes_requests_without_an_effect() {
    let (device, events) = Echo::<true>::new(Way::AtOnce);
    let mut backend = Backend::start(device, &Threads::default()).expect("threads");
    let guest = Guest::new();
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    link.apply(SET_VRING_ENABLE, &words(&[0, 0]));
    guest.offer(0, 0, b"ping");
    signals.kick.signal();
    wait_for_used(&mut link, &guest, (0, &signals), 1);
    assert_eq!((guest.used_element(0, 0), guest.answer(0, 0)), ((0, 0), [0; 4]));
    assert!(matches!(events.recv_timeout(LONG), Ok(Event::Started(0, _))));
    assert!(events.try_recv().is_err(), "the device has seen the request");
}

#[test]
fn request_completed_while_the_ring_is_paused_is_used_when_it_goes_on() {
    let (sender, requests) = channel();
    let (device, _events) = Echo::<false>::new(Way::Hand(sender));
    let mut backend = Backend::start(device, &Threads::default()).expect("threads");
    let guest = Guest::new();
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    guest.offer(0, 0, b"ping");
    signals.kick.signal();
    let request = requests.recv_timeout(LONG).expect("a request");
    link.remove_memory();
    let written = echo(&request);
    request.send_home(written);
    link.apply(SET_VRING_ENABLE, &words(&[0, 1]));
    assert_eq!(guest.used(0), 0, "there was no ring to use it in");
    link.add_memory(&guest);
    wait_for_used(&mut link, &guest, (0, &signals), 1);
    assert_eq!((guest.used_element(0, 0), guest.answer(0, 0)), ((0, 4), *b"ping"));
}

#[test]
fn request_made_while_the_ring_is_paused_is_served_when_it_goes_on() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    link.remove_memory();
    guest.offer(0, 0, b"ping");
    signals.kick.signal();
    link.add_memory(&guest);
    wait_for_used(&mut link, &guest, (0, &signals), 1);
}

#[test]
fn memory_change_forgets_no_index() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    for index in 0..3 {
        guest.offer(0, index, b"ping");
        signals.kick.signal();
        wait_for_used(&mut link, &guest, (0, &signals), index + 1);
        link.remove_memory();
        link.add_memory(&guest);
    }
    assert_eq!(link.ask(GET_VRING_BASE, &words(&[0, 0])), base(0, 3));
}

#[test]
fn request_that_came_home_before_the_used_ring_moved_is_used_in_the_old_one() {
    let (sender, requests) = sync_channel(0);
    let (device, events) = Echo::<false>::new(Way::Meet(sender));
    let mut backend = Backend::start(device, &Threads::default()).expect("threads");
    let guest = Guest::new();
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    guest.offer(0, 0, b"ping");
    signals.kick.signal();
    let first = requests.recv_timeout(LONG).expect("a request");
    guest.offer(0, 1, b"more");
    signals.kick.signal();
    assert!(matches!(events.recv_timeout(LONG), Ok(Event::Started(0, _))));
    assert_eq!(events.recv_timeout(LONG), Ok(Event::Submitted));
    assert_eq!(events.recv_timeout(LONG), Ok(Event::Submitted));
    // The queue's thread waits for the second request to be taken; then it finds both at once.
    let written = echo(&first);
    first.send_home(written);
    link.move_used_ring(0, 0x800);
    let second = requests.recv_timeout(LONG).expect("a request");
    second.send_home(0);
    assert_eq!(link.reply(SET_VRING_ADDR), longs(&[0]));
    assert_eq!((guest.used(0), guest.used_element(0, 0)), (1, (0, 4)));
}

#[test]
fn broken_ring_is_told_on_err_and_other_queues_go_on() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    let broken = link.start(0, 0);
    let sound = link.start(1, 0);
    guest.set_avail_idx(0, 100);
    broken.kick.signal();
    link.wait_for(broken.err.as_fd());
    guest.offer(1, 0, b"ping");
    sound.kick.signal();
    wait_for_used(&mut link, &guest, (1, &sound), 1);
    assert_eq!(link.session.phase(), Phase::Serving);
    assert_eq!((count(&broken.err), count(&sound.err)), (1, 0));
}

#[test]
fn broken_ring_is_served_again_once_it_is_restarted() {
    let (mut backend, guest) = (backend(), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    let broken = link.start(0, 0);
    guest.set_avail_idx(0, 100);
    broken.kick.signal();
    link.wait_for(broken.err.as_fd());
    assert_eq!(link.ask(GET_VRING_BASE, &words(&[0, 0])), base(0, 0));
    guest.offer(0, 0, b"ping");
    let signals = link.start(0, 0);
    wait_for_used(&mut link, &guest, (0, &signals), 1);
    assert_eq!(count(&signals.err), 0);
}

#[test]
fn features_of_the_driver_reach_the_queue_at_its_start() {
    let (device, events) = Echo::<false>::new(Way::AtOnce);
    let mut backend = Backend::start(device, &Threads::default()).expect("threads");
    let guest = Guest::new();
    let mut link = Link::negotiated(&mut backend, &guest);
    let features = 1 << 30 | 1 << 32 | super::echo::FEATURES;
    link.apply(SET_FEATURES, &longs(&[features]));
    link.start(2, 0);
    let Ok(Event::Started(2, acked)) = events.recv_timeout(LONG) else { panic!("not started") };
    assert_eq!(acked.bits(), features);
}

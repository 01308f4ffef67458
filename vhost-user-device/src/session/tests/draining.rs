// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Queues that stop: nothing in flight is left behind, and nobody waits for ever.

use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use super::echo::{Echo, Event, Way, echo};
use super::frontend::{Guest, Link, base};
use super::{NEED_REPLY, VERSION, request::*, words};
use crate::session::{Backend, Ended, Interest, Phase, Threads};
use crate::sys::{Wait, wait_readable};
use crate::{Request, VirtioFeatures};

const LONG: Duration = Duration::from_secs(20);

fn started(queue: u16) -> Event {
    Event::Started(queue, VirtioFeatures::from_bits(1 << 30 | 1 << 32))
}

/// A back end whose requests are given to the test, and what its queues were told.
fn handing() -> (Backend<Echo>, Receiver<Request>, Receiver<Event>) {
    let (sender, requests) = channel();
    let (device, events) = Echo::new(Way::Hand(sender));
    (Backend::start(device, &Threads::default()).expect("threads"), requests, events)
}

fn expect(events: &Receiver<Event>, expected: &[Event]) {
    for event in expected {
        assert_eq!(events.recv_timeout(LONG).as_ref(), Ok(event));
    }
}

fn finish(request: Request) {
    let written = echo(&request);
    request.send_home(written);
}

/// Asks for the base of queue 0, which has a request in flight, and waits until it drains.
fn begin_to_stop(link: &mut Link<'_, Echo>, events: &Receiver<Event>) {
    link.send(GET_VRING_BASE, VERSION | NEED_REPLY, &words(&[0, 0]), &[]);
    link.session.on_socket();
    expect(events, &[started(0), Event::Submitted, Event::Cancelled]);
}

#[test]
fn stop_completes_what_the_device_has_parked() {
    let (device, events) = Echo::<false>::new(Way::Park);
    let mut backend = Backend::start(device, &Threads::default()).expect("threads");
    let guest = Guest::new();
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    guest.offer(0, 0, b"ping");
    signals.kick.signal();
    expect(&events, &[started(0), Event::Submitted]);
    assert_eq!(guest.used(0), 0);
    assert_eq!(link.ask(GET_VRING_BASE, &words(&[0, 0])), base(0, 1));
    expect(&events, &[Event::Cancelled, Event::Dropped]);
    assert_eq!((guest.used(0), guest.used_element(0, 0)), (1, (0, 0)));
}

#[test]
fn stop_waits_for_the_request_in_flight() {
    let (mut backend, requests, events) = handing();
    let guest = Guest::new();
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    guest.offer(0, 0, b"ping");
    signals.kick.signal();
    let request = requests.recv_timeout(LONG).expect("a request");
    begin_to_stop(&mut link, &events);
    assert_eq!(
        (link.session.phase(), link.session.interest()),
        (Phase::Serving, Interest::Nothing)
    );
    let acks = wait_readable([Some(link.session.acks())], Some(Duration::ZERO)).expect("poll");
    assert_eq!(acks, [Wait::Nothing], "the queue has stopped with a request in flight");
    finish(request);
    assert_eq!(link.reply(GET_VRING_BASE), base(0, 1));
    assert_eq!((guest.used(0), guest.answer(0, 0)), (1, *b"ping"));
}

#[test]
fn stop_takes_no_more_requests() {
    let (mut backend, requests, events) = handing();
    let guest = Guest::new();
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    guest.offer(0, 0, b"ping");
    signals.kick.signal();
    let request = requests.recv_timeout(LONG).expect("a request");
    begin_to_stop(&mut link, &events);
    guest.offer(0, 1, b"more");
    signals.kick.signal();
    finish(request);
    assert_eq!(link.reply(GET_VRING_BASE), base(0, 1));
    assert!(requests.try_recv().is_err());
}

#[test]
fn stop_is_answered_when_the_queue_holds_nothing_any_more() {
    let (device, events) = Echo::<false>::new(Way::AtOnce);
    let mut backend = Backend::start(device.clone(), &Threads::default()).expect("threads");
    let guest = Guest::new();
    let mut link = Link::negotiated(&mut backend, &guest);
    link.start(0, 0);
    let gate = device.hold_drop();
    link.send(GET_VRING_BASE, VERSION, &words(&[0, 0]), &[]);
    link.session.on_socket();
    expect(&events, &[started(0), Event::Cancelled, Event::Dropped]);
    let acks = wait_readable([Some(link.session.acks())], Some(Duration::ZERO)).expect("poll");
    assert_eq!(acks, [Wait::Nothing], "the device's queue is still there");
    drop(gate);
    assert_eq!(link.reply(GET_VRING_BASE), base(0, 0));
}

#[test]
fn reset_waits_for_the_request_in_flight_and_then_forgets_where_the_queue_stood() {
    let (mut backend, requests, events) = handing();
    let guest = Guest::new();
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    link.start(1, 0);
    guest.offer(0, 0, b"ping");
    signals.kick.signal();
    let request = requests.recv_timeout(LONG).expect("a request");
    link.send(RESET_DEVICE, VERSION | NEED_REPLY, &[], &[]);
    link.session.on_socket();
    assert_eq!(link.session.interest(), Interest::Nothing);
    finish(request);
    assert_eq!(link.reply(RESET_DEVICE), super::longs(&[0]));
    assert_eq!((guest.used(0), guest.answer(0, 0)), (1, *b"ping"));
    assert_eq!(link.ask(GET_VRING_BASE, &words(&[0, 0])), base(0, 0));
    let dropped = events.try_iter().filter(|event| *event == Event::Dropped).count();
    assert_eq!(dropped, 2, "a queue still runs");
}

#[test]
fn message_after_one_that_is_being_applied_is_read_later() {
    let (mut backend, requests, events) = handing();
    let guest = Guest::new();
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    guest.offer(0, 0, b"ping");
    signals.kick.signal();
    let request = requests.recv_timeout(LONG).expect("a request");
    begin_to_stop(&mut link, &events);
    link.tell(GET_QUEUE_NUM, &[]);
    link.session.on_socket();
    assert_eq!(link.session.interest(), Interest::Nothing);
    finish(request);
    assert_eq!(link.reply(GET_VRING_BASE), base(0, 1));
    assert_eq!(link.reply(GET_QUEUE_NUM), super::longs(&[3]));
}

#[test]
fn end_while_a_message_is_being_applied_leaves_it_unanswered() {
    let (mut backend, requests, events) = handing();
    let guest = Guest::new();
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    guest.offer(0, 0, b"ping");
    signals.kick.signal();
    let request = requests.recv_timeout(LONG).expect("a request");
    begin_to_stop(&mut link, &events);
    link.session.end();
    assert_eq!(link.session.phase(), Phase::Draining);
    finish(request);
    link.wait_until(|session| session.phase() == Phase::Ended);
    assert_eq!(link.session.ended(), Some(&Ended::Asked));
    let Link { session, mut front } = link;
    drop(session);
    assert_eq!(std::io::Read::read(&mut front, &mut [0]).expect("the end"), 0, "it was answered");
}

#[test]
fn hang_up_drains_every_queue_and_publishes_what_completes() {
    let (mut backend, requests, events) = handing();
    let guest = Guest::new();
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    link.start(1, 0);
    guest.offer(0, 0, b"ping");
    signals.kick.signal();
    let request = requests.recv_timeout(LONG).expect("a request");
    link.front = UnixStream::pair().expect("a pair of sockets").0;
    link.wait_until(|session| session.phase() == Phase::Draining);
    assert_eq!(link.session.ended(), Some(&Ended::HungUp));
    finish(request);
    link.wait_until(|session| session.phase() == Phase::Ended);
    assert_eq!((guest.used(0), guest.answer(0, 0)), (1, *b"ping"));
    let dropped = events.try_iter().filter(|event| *event == Event::Dropped).count();
    assert_eq!(dropped, 2);
}

#[test]
fn session_that_is_dropped_waits_for_the_requests_in_flight() {
    let (mut backend, requests, events) = handing();
    let guest = Guest::new();
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    guest.offer(0, 0, b"ping");
    signals.kick.signal();
    let request = requests.recv_timeout(LONG).expect("a request");
    let disk = thread::spawn(move || {
        expect(&events, &[started(0), Event::Submitted, Event::Cancelled]);
        finish(request);
        events
    });
    drop(link);
    assert_eq!(guest.used(0), 1, "the session was gone before its request");
    let events = disk.join().expect("the request is finished");
    expect(&events, &[Event::Dropped]);
}

#[test]
fn back_end_that_is_dropped_ends_its_threads() {
    let (device, _events) = Echo::<false>::new(Way::AtOnce);
    let backend = Backend::start(device.clone(), &Threads::default()).expect("threads");
    drop(backend);
    assert_eq!(std::sync::Arc::strong_count(&device), 1);
}

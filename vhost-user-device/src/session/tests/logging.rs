// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The dirty log of queues that run: it counts when a request completes, not when it was taken.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::echo::{Echo, Way, echo};
use super::frontend::{Guest, Link, Signals, count};
use super::{NEED_REPLY, VERSION, longs, request::*, words};
use crate::session::{Backend, Ended, Phase, Threads};
use crate::sys;
use crate::{Device, Request};

const LONG: Duration = Duration::from_secs(20);

/// What the front end has acked, without the log and with it.
const PLAIN: u64 = 1 << 30 | 1 << 32;
const LOG_ALL: u64 = 1 << 26;

/// The page of the first request's data, and that of the used ring.
const DATA: u64 = 3;
const USED: u64 = 2;

/// Runs a test on a connection with queue 0 running, whose requests are given to it.
fn with_queue(test: impl FnOnce(Link<'_, Echo>, &Guest, &Signals, &Receiver<Request>)) {
    let (sender, requests) = channel();
    let mut backend =
        Backend::start(Echo::new(Way::Hand(sender)).0, &Threads::default()).expect("threads");
    let guest = Guest::new();
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    test(link, &guest, &signals, &requests);
}

/// A log of the first eight pages and more.
struct Log(File);

impl Log {
    /// A log that the back end has been told of.
    fn told<D: Device>(link: &mut Link<'_, D>) -> Self {
        let file = sys::memfd("log").expect("memfd");
        file.set_len(4096).expect("truncate");
        link.send(SET_LOG_BASE, VERSION, &longs(&[4096, 0]), &[file.as_fd()]);
        assert_eq!(link.reply(SET_LOG_BASE), longs(&[4096, 0]));
        Self(file)
    }

    /// The bits of the first eight pages.
    fn bits(&self) -> u8 {
        let mut byte = [0];
        self.0.read_exact_at(&mut byte, 0).expect("the log");
        byte[0]
    }
}

fn log_all<D: Device>(link: &mut Link<'_, D>, on: bool) {
    let features = if on { PLAIN | LOG_ALL } else { PLAIN };
    link.apply(SET_FEATURES, &longs(&[features]));
}

/// Has the first request of queue 0 taken, and gives it to the test.
fn taken(guest: &Guest, signals: &Signals, requests: &Receiver<Request>) -> Request {
    guest.offer(0, 0, b"ping");
    signals.kick.signal();
    requests.recv_timeout(LONG).expect("a request")
}

/// Completes a request, and waits until the driver sees it.
fn finish<D: Device>(request: Request, link: &mut Link<'_, D>, guest: &Guest) {
    let written = echo(&request);
    request.send_home(written);
    // It came home before this.
    link.apply(SET_VRING_ENABLE, &words(&[0, 1]));
    assert_eq!(guest.used(0), 1);
}

#[test]
fn request_in_flight_when_logging_starts_is_logged() {
    with_queue(|mut link, guest, signals, requests| {
        let request = taken(guest, signals, requests);
        let log = Log::told(&mut link);
        log_all(&mut link, true);
        assert_eq!(log.bits(), 0, "it is not written yet");
        finish(request, &mut link, guest);
        assert_eq!(log.bits(), 1 << DATA);
    });
}

#[test]
fn request_in_flight_when_logging_stops_is_not_logged() {
    with_queue(|mut link, guest, signals, requests| {
        let log = Log::told(&mut link);
        log_all(&mut link, true);
        let request = taken(guest, signals, requests);
        log_all(&mut link, false);
        finish(request, &mut link, guest);
        assert_eq!(log.bits(), 0);
    });
}

#[test]
fn request_in_flight_when_the_log_is_replaced_is_in_the_new_one() {
    with_queue(|mut link, guest, signals, requests| {
        let old = Log::told(&mut link);
        log_all(&mut link, true);
        let request = taken(guest, signals, requests);
        let new = Log::told(&mut link);
        finish(request, &mut link, guest);
        assert_eq!((old.bits(), new.bits()), (0, 1 << DATA));
    });
}

#[test]
fn request_completed_while_its_memory_is_taken_away_is_logged() {
    with_queue(|mut link, guest, signals, requests| {
        let log = Log::told(&mut link);
        log_all(&mut link, true);
        let request = taken(guest, signals, requests);
        link.remove_memory();
        let written = echo(&request);
        request.send_home(written);
        link.apply(SET_VRING_ENABLE, &words(&[0, 1]));
        assert_eq!(guest.used(0), 0, "there was no ring to use it in");
        assert_eq!(log.bits(), 1 << DATA);
        link.add_memory(guest);
    });
}

#[test]
fn request_that_is_drained_is_logged_and_so_is_the_used_ring() {
    with_queue(|mut link, guest, signals, requests| {
        let log = Log::told(&mut link);
        log_all(&mut link, true);
        // The used ring of queue 0, logged where it is.
        let user = 0x7f00_0000_0000;
        let addresses = longs(&[user, user + 0x2000, user + 0x1000, USED * 4096]);
        link.apply(SET_VRING_ADDR, &[words(&[0, 1]), addresses].concat());
        let request = taken(guest, signals, requests);
        link.send(GET_VRING_BASE, VERSION | NEED_REPLY, &words(&[0, 0]), &[]);
        link.session.on_socket();
        let written = echo(&request);
        request.send_home(written);
        assert_eq!(link.reply(GET_VRING_BASE), words(&[0, 1]));
        assert_eq!(log.bits(), 1 << DATA | 1 << USED);
    });
}

#[test]
fn log_descriptor_is_signalled_once_for_what_is_published_at_once() {
    with_queue(|mut link, guest, signals, requests| {
        let logged = sys::Eventfd::new().expect("an eventfd");
        link.send(SET_LOG_FD, VERSION | NEED_REPLY, &[], &[logged.as_fd()]);
        assert_eq!(link.reply(SET_LOG_FD), longs(&[0]));
        Log::told(&mut link);
        log_all(&mut link, true);
        let request = taken(guest, signals, requests);
        assert_eq!(count(&logged), 0);
        finish(request, &mut link, guest);
        assert_eq!(count(&logged), 1);
    });
}

#[test]
fn log_whose_pages_are_gone_ends_the_connection_once() {
    with_queue(|mut link, guest, signals, requests| {
        let log = Log::told(&mut link);
        log_all(&mut link, true);
        let request = taken(guest, signals, requests);
        log.0.set_len(0).expect("truncate");
        let written = echo(&request);
        request.send_home(written);
        link.wait_until(|session| session.phase() == Phase::Ended);
        let text = "the dirty log has pages that cannot be had".to_owned();
        assert_eq!(link.session.ended(), Some(&Ended::Fault(text)));
        assert_eq!(guest.used(0), 1, "the driver has it back");
    });
}

#[test]
fn log_whose_pages_are_gone_changes_nothing_about_an_end_that_was_asked_for() {
    with_queue(|mut link, guest, signals, requests| {
        let log = Log::told(&mut link);
        log_all(&mut link, true);
        let request = taken(guest, signals, requests);
        log.0.set_len(0).expect("truncate");
        link.session.end();
        let written = echo(&request);
        request.send_home(written);
        link.wait_until(|session| session.phase() == Phase::Ended);
        assert_eq!(link.session.ended(), Some(&Ended::Asked));
    });
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A device whose requests wait: on threads that may, for a time, for somebody who wakes the queue.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::echo::echo;
use super::frontend::{Guest, Link, Signals, base};
use super::{request::*, words};
use crate::session::{Backend, Threads};
use crate::{Device, DeviceQueue, Engine, Request, Turn, VirtioFeatures, Waker};

const LONG: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);
const THREADS: usize = 2;

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    /// Another thread, which does it.
    Thread,
    /// A time.
    Time,
    /// Being woken; who wakes is told how.
    Waker,
}

#[derive(Debug)]
struct Patient {
    waits: For,
    /// Names of the threads that were made ready.
    prepared: Mutex<Vec<String>>,
    /// How often it was reset.
    resets: AtomicUsize,
    wakers: Mutex<Sender<Waker>>,
    woken: Arc<Mutex<bool>>,
    fails: bool,
}

#[derive(Debug)]
struct PatientQueue {
    waits: For,
    due: Option<Instant>,
    parked: Vec<Request>,
    wakers: Sender<Waker>,
    woken: Arc<Mutex<bool>>,
}

fn patient(waits: For) -> (Arc<Patient>, Receiver<Waker>) {
    let (wakers, wake) = channel();
    let device = Patient {
        waits,
        prepared: Mutex::default(),
        resets: AtomicUsize::new(0),
        wakers: Mutex::new(wakers),
        woken: Arc::default(),
        fails: false,
    };
    (Arc::new(device), wake)
}

impl Device for Patient {
    type Queue = PatientQueue;
    const NAME: &'static str = "patient";

    fn features(&self) -> VirtioFeatures {
        VirtioFeatures::default()
    }

    fn num_queues(&self) -> u16 {
        1
    }

    fn max_queue_size(&self) -> u16 {
        256
    }

    fn has_config(&self) -> bool {
        false
    }

    fn read_config(&self, _offset: u32, _out: &mut [u8]) {}

    fn engine(&self) -> Engine {
        Engine::Threads
    }

    fn num_threads(&self) -> usize {
        THREADS
    }

    fn prepare_thread(&self) -> io::Result<()> {
        if self.fails {
            return Err(io::Error::from_raw_os_error(libc::EPERM));
        }
        let name = thread::current().name().unwrap_or_default().to_owned();
        self.prepared.lock().expect("not poisoned").push(name);
        Ok(())
    }

    fn reset(&self) {
        self.resets.fetch_add(1, Ordering::SeqCst);
    }

    fn start_queue(&self, _index: u16, _acked: VirtioFeatures) -> PatientQueue {
        let wakers = self.wakers.lock().expect("not poisoned").clone();
        let woken = Arc::clone(&self.woken);
        PatientQueue { waits: self.waits, due: None, parked: Vec::new(), wakers, woken }
    }
}

impl DeviceQueue for PatientQueue {
    fn submit(&mut self, request: Request, turn: &mut Turn<'_>) {
        match self.waits {
            For::Thread => {
                return turn.run(move || {
                    assert!(thread::current().name().is_some_and(|name| name.contains("-io")));
                    let written = echo(&request);
                    request.send_home(written);
                });
            }
            For::Time => self.due = Some(Instant::now() + PAUSE),
            For::Waker => self.wakers.send(turn.waker()).expect("the test wants it"),
        }
        self.parked.push(request);
    }

    fn poll(&mut self, turn: &mut Turn<'_>) {
        let woken = *self.woken.lock().expect("not poisoned");
        if woken || self.due.is_some_and(|due| due <= Instant::now()) {
            self.due = None;
            for request in self.parked.drain(..) {
                let written = echo(&request);
                turn.complete(request, written);
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }

    fn cancel(&mut self, turn: &mut Turn<'_>) {
        self.parked.drain(..).for_each(|request| turn.complete(request, 0));
    }

    fn fail(_request: &Request) -> u32 {
        0
    }
}

fn backend(device: &Arc<Patient>) -> Backend<Patient> {
    Backend::start(Arc::clone(device), &Threads::default()).expect("threads")
}

fn ping(guest: &Guest, signals: &Signals) {
    guest.offer(0, 0, b"ping");
    signals.kick.signal();
}

fn expect_answer(link: &mut Link<'_, Patient>, guest: &Guest, signals: &Signals) {
    while guest.used(0) == 0 {
        link.wait_for(signals.call.as_fd());
        signals.call.clear();
    }
    assert_eq!(guest.answer(0, 0), *b"ping");
}

#[test]
fn request_that_another_thread_serves_comes_home() {
    let (device, _wake) = patient(For::Thread);
    let (mut backend, guest) = (backend(&device), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    ping(&guest, &signals);
    expect_answer(&mut link, &guest, &signals);
}

#[test]
fn queue_is_polled_when_that_is_due_without_a_kick() {
    let (device, _wake) = patient(For::Time);
    let (mut backend, guest) = (backend(&device), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    let began = Instant::now();
    ping(&guest, &signals);
    expect_answer(&mut link, &guest, &signals);
    assert!(began.elapsed() >= PAUSE);
}

#[test]
fn queue_is_polled_when_it_is_woken() {
    let (device, wake) = patient(For::Waker);
    let (mut backend, guest) = (backend(&device), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    ping(&guest, &signals);
    let waker = wake.recv_timeout(LONG).expect("a waker");
    assert_eq!(guest.used(0), 0);
    *device.woken.lock().expect("not poisoned") = true;
    waker.wake();
    expect_answer(&mut link, &guest, &signals);
}

#[test]
fn every_thread_that_runs_requests_is_made_ready() {
    let (device, _wake) = patient(For::Thread);
    let _backend = backend(&device);
    let mut prepared = device.prepared.lock().expect("not poisoned").clone();
    prepared.sort();
    assert_eq!(prepared, ["patient-io0", "patient-io1", "patient-q0"]);
}

#[test]
fn threads_that_cannot_be_made_ready_are_an_error() {
    let (device, _wake) = patient(For::Thread);
    let device = Arc::into_inner(device).expect("nobody else has it");
    let device = Arc::new(Patient { fails: true, ..device });
    let error = Backend::start(device, &Threads::default()).expect_err("not ready");
    assert_eq!(
        crate::causes(&error),
        "start threads for I/O: Operation not permitted (os error 1)"
    );
}

#[test]
fn device_is_reset_when_a_connection_has_ended_and_nothing_runs() {
    let (device, wake) = patient(For::Waker);
    let (mut backend, guest) = (backend(&device), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    let signals = link.start(0, 0);
    ping(&guest, &signals);
    wake.recv_timeout(LONG).expect("a waker");
    assert_eq!(link.ask(GET_VRING_BASE, &words(&[0, 0])), base(0, 1));
    assert_eq!(device.resets.load(Ordering::SeqCst), 0, "a queue that stops is no end");
    drop(link);
    assert_eq!(device.resets.load(Ordering::SeqCst), 1);
}

#[test]
fn device_is_reset_by_the_front_end() {
    let (device, _wake) = patient(For::Waker);
    let (mut backend, guest) = (backend(&device), Guest::new());
    let mut link = Link::negotiated(&mut backend, &guest);
    link.start(0, 0);
    link.apply(RESET_DEVICE, &[]);
    assert_eq!(device.resets.load(Ordering::SeqCst), 1);
}

#[test]
fn config_space_that_is_not_to_be_read_is_not_offered() {
    const CONFIG: u64 = 1 << 9;
    let (device, _wake) = patient(For::Waker);
    let mut backend = backend(&device);
    let mut link = Link::new(&mut backend);
    let offered = link.ask(GET_PROTOCOL_FEATURES, &[]);
    let offered = u64::from_ne_bytes(offered.try_into().expect("8 bytes"));
    assert_eq!(offered & CONFIG, 0);
    assert_ne!(offered, 0);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Driver and device in every order that the memory model allows, stale reads included (the
//! biggest models, up to a number of preemptions):
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p vhost-user-device --lib --release loom
//! ```
//!
//! The device is [`SplitRing`] itself, on words that the model checker watches; its loop is that
//! of a queue's owner. The driver is written here, after virtio 1.3, sections 2.7.13 and 2.7.14.
//! Whoever has nothing to do sleeps until it is notified. If a notification can be lost, there is
//! an order in which both sleep, and the checker finds it.

// Not loom's: when which end lets go of the words is nothing to explore.
use std::sync::Arc;

use loom::sync::atomic::{AtomicU16, AtomicU64, Ordering, fence};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use crate::ring::shared::{Descriptor, NO_INTERRUPT, NO_NOTIFY, SharedRing};
use crate::ring::split::{Position, SplitRing};

const SIZE: u16 = 2;

/// How often a thread is stopped in a model that is too big for every order.
const BOUND: usize = 4;

/// What is where nobody has written yet.
const NOTHING: u16 = u16::MAX;

/// The words of a ring; the orders of the accesses are those of `guest.rs`.
struct Words {
    avail_flags: AtomicU16,
    avail_idx: AtomicU16,
    avail_ring: [AtomicU16; SIZE as usize],
    used_event: AtomicU16,
    used_flags: AtomicU16,
    used_idx: AtomicU16,
    /// Head and length in one word: half as much to explore.
    used_ring: [AtomicU64; SIZE as usize],
    avail_event: AtomicU16,
}

impl Words {
    fn new() -> Arc<Self> {
        let word = || AtomicU16::new(0);
        Arc::new(Self {
            avail_flags: word(),
            avail_idx: word(),
            avail_ring: [(); SIZE as usize].map(|()| AtomicU16::new(NOTHING)),
            used_event: word(),
            used_flags: word(),
            used_idx: word(),
            used_ring: [(); SIZE as usize].map(|()| AtomicU64::new(NOTHING.into())),
            avail_event: word(),
        })
    }
}

impl SharedRing for Arc<Words> {
    fn size(&self) -> u16 {
        SIZE
    }

    fn avail_idx(&self) -> u16 {
        self.avail_idx.load(Ordering::Acquire)
    }

    fn avail_flags(&self) -> u16 {
        self.avail_flags.load(Ordering::Relaxed)
    }

    fn avail_entry(&self, slot: u16) -> u16 {
        self.avail_ring[usize::from(slot)].load(Ordering::Relaxed)
    }

    fn used_event(&self) -> u16 {
        self.used_event.load(Ordering::Relaxed)
    }

    fn used_idx(&self) -> u16 {
        self.used_idx.load(Ordering::Relaxed)
    }

    fn set_used_element(&self, slot: u16, head: u16, written: u32) {
        self.used_ring[usize::from(slot)].store(packed(head, written), Ordering::Relaxed);
    }

    fn set_used_idx(&self, index: u16) {
        self.used_idx.store(index, Ordering::Release);
    }

    fn set_used_flags(&self, flags: u16) {
        self.used_flags.store(flags, Ordering::Relaxed);
    }

    fn set_avail_event(&self, index: u16) {
        self.avail_event.store(index, Ordering::Relaxed);
    }

    fn fence(&self) {
        fence(Ordering::SeqCst);
    }

    fn descriptor(&self, _slot: u16) -> Descriptor {
        unreachable!("the ring takes heads, not chains")
    }
}

fn packed(head: u16, written: u32) -> u64 {
    u64::from(written) << 32 | u64::from(head)
}

/// A notification descriptor.
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn new() -> Arc<Self> {
        Arc::new(Self { rung: Mutex::new(false), changed: Condvar::new() })
    }

    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }

    /// Forgets that it rang.
    fn silence(&self) {
        *self.rung.lock().unwrap() = false;
    }

    /// Sleeps until it rings. If it never does, the checker reports a deadlock.
    fn sleep(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung = false;
    }
}

/// A ring, and how its ends notify each other.
#[derive(Clone)]
struct Queue {
    words: Arc<Words>,
    kick: Arc<Bell>,
    call: Arc<Bell>,
    event_idx: bool,
}

/// The head of the request with this number, and what is written for it.
fn element(number: u16) -> (u16, u32) {
    (number % SIZE, 100 + u32::from(number))
}

/// The driver's side, with its own indices.
struct Driver {
    queue: Queue,
    next_avail: u16,
    next_used: u16,
}

impl Driver {
    /// Makes a request available, and kicks if the device wants that (section 2.7.13).
    fn send(&mut self) {
        let Queue { words, kick, event_idx, .. } = &self.queue;
        let old = self.next_avail;
        let new = old + 1;
        let (head, _) = element(old);
        words.avail_ring[usize::from(old % SIZE)].store(head, Ordering::Relaxed);
        words.avail_idx.store(new, Ordering::Release);
        self.next_avail = new;
        fence(Ordering::SeqCst);
        let wanted = match event_idx {
            true => passed(words.avail_event.load(Ordering::Relaxed), old, new),
            false => words.used_flags.load(Ordering::Relaxed) & NO_NOTIFY == 0,
        };
        if wanted {
            kick.ring();
        }
    }

    /// Takes used elements until as many as were sent have come (section 2.7.14).
    fn take_all(&mut self) {
        let Queue { words, call, event_idx, .. } = self.queue.clone();
        loop {
            self.take_some();
            if self.next_used == self.next_avail {
                return;
            }
            match event_idx {
                true => words.used_event.store(self.next_used, Ordering::Relaxed),
                false => words.avail_flags.store(0, Ordering::Relaxed),
            }
            fence(Ordering::SeqCst);
            if words.used_idx.load(Ordering::Acquire) == self.next_used {
                call.sleep();
            }
            if !event_idx {
                words.avail_flags.store(NO_INTERRUPT, Ordering::Relaxed);
            }
        }
    }

    /// Takes the used elements that are there; what is in them is what was written.
    fn take_some(&mut self) {
        let words = &self.queue.words;
        let used_idx = words.used_idx.load(Ordering::Acquire);
        while self.next_used != used_idx {
            let slot = usize::from(self.next_used % SIZE);
            let read = words.used_ring[slot].load(Ordering::Relaxed);
            let (head, written) = element(self.next_used);
            assert_eq!(read, packed(head, written), "element {}", self.next_used);
            self.next_used += 1;
        }
    }
}

/// Whether an index that went from `old` to `new` passed `event` (section 2.7.10).
fn passed(event: u16, old: u16, new: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

/// The device's side.
struct Device {
    queue: Queue,
    ring: SplitRing<Arc<Words>>,
    served: u16,
    /// Each used element is published on its own, and not with the others of its round.
    one_by_one: bool,
}

impl Device {
    /// Serves requests until there were `total`: the loop of a queue's owner.
    fn serve(&mut self, total: u16) {
        loop {
            self.ring.disable_kicks();
            while let Some(head) = self.ring.pop().expect("a sound ring") {
                let (expected, written) = element(self.served);
                assert_eq!(head, expected, "request {}", self.served);
                self.ring.push_used(head, written);
                self.served += 1;
                if self.one_by_one {
                    self.publish();
                }
            }
            self.publish();
            if self.served == total {
                return;
            }
            if !self.ring.enable_kicks() {
                self.queue.kick.sleep();
            }
        }
    }

    fn publish(&mut self) {
        if self.ring.publish() {
            self.queue.call.ring();
        }
    }
}

/// Both ends of a ring on which one request was served already: at the first one after its start
/// the device asks nobody whether a call is wanted.
fn ends(event_idx: bool, one_by_one: bool) -> (Driver, Device) {
    let queue = Queue { words: Words::new(), kick: Bell::new(), call: Bell::new(), event_idx };
    let ring = SplitRing::new(Arc::clone(&queue.words), event_idx, Position::at_start(0, 0));
    let mut driver = Driver { queue: queue.clone(), next_avail: 0, next_used: 0 };
    let mut device = Device { queue: queue.clone(), ring, served: 0, one_by_one };
    driver.send();
    device.serve(1);
    driver.take_all();
    // What the next one begins with is what drivers leave behind while they are awake.
    if !event_idx {
        queue.words.avail_flags.store(NO_INTERRUPT, Ordering::Relaxed);
    }
    queue.kick.silence();
    queue.call.silence();
    (driver, device)
}

/// Every order, if there is no bound to it; else those in which a thread that could go on is
/// stopped at most so often. All of them would take minutes then.
fn in_every_order(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

/// Requests are sent while the device goes to sleep: it takes them all.
fn kicks(event_idx: bool, requests: u16, preemptions: Option<usize>) {
    in_every_order(preemptions, move || {
        let (mut driver, mut device) = ends(event_idx, false);
        let device = thread::spawn(move || device.serve(1 + requests));
        (0..requests).for_each(|_| driver.send());
        device.join().unwrap();
        driver.take_some();
        assert_eq!(driver.next_used, 1 + requests);
    });
}

/// Requests are completed while the driver goes to sleep: it takes them all.
fn calls(event_idx: bool, requests: u16, preemptions: Option<usize>) {
    in_every_order(preemptions, move || {
        let (mut driver, mut device) = ends(event_idx, true);
        (0..requests).for_each(|_| driver.send());
        let device = thread::spawn(move || device.serve(1 + requests));
        driver.take_all();
        device.join().unwrap();
    });
}

/// Both at once: the driver sends the next request when it has taken the one before.
fn both(event_idx: bool, preemptions: Option<usize>) {
    in_every_order(preemptions, move || {
        let (mut driver, mut device) = ends(event_idx, false);
        let device = thread::spawn(move || device.serve(3));
        for _ in 0..2 {
            driver.send();
            driver.take_all();
        }
        device.join().unwrap();
    });
}

#[test]
fn no_kick_is_lost_with_event_idx() {
    kicks(true, 1, None);
}

#[test]
fn no_kick_is_lost_with_flags() {
    kicks(false, 1, None);
}

#[test]
fn no_kick_of_two_is_lost_with_event_idx() {
    kicks(true, 2, None);
}

#[test]
fn no_kick_of_two_is_lost_with_flags() {
    kicks(false, 2, None);
}

#[test]
fn no_call_is_lost_with_event_idx() {
    calls(true, 1, None);
}

#[test]
fn no_call_is_lost_with_flags() {
    calls(false, 1, None);
}

#[test]
fn no_call_of_two_is_lost_with_event_idx() {
    calls(true, 2, None);
}

#[test]
fn no_call_of_two_is_lost_with_flags() {
    calls(false, 2, None);
}

#[test]
fn no_notification_is_lost_both_ways_with_event_idx() {
    both(true, Some(BOUND));
}

#[test]
fn no_notification_is_lost_both_ways_with_flags() {
    both(false, Some(BOUND));
}

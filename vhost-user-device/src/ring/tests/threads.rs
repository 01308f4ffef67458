// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Driver and device as two threads that both go to sleep whenever they have nothing to do: one
//! lost notification, and they sleep for ever.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::Random;
use super::bench::{Bench, memory};
use super::driver::{Driver, Layout, buffer, region};
use crate::ring::shared::WRITE;
use crate::ring::{Popped, Request};

const SIZE: u16 = 256;
const LAYOUT: Layout = Layout { start: 0, size: SIZE };
/// Each request has two descriptors: a number, and room for its answer, eight bytes each.
const HEADS: u16 = SIZE / 2;
const BUFFERS: u64 = 0x4000;

/// How many requests are sent; an interpreter takes its time over each.
const REQUESTS: u64 = if cfg!(miri) { 200 } else { 10_000_000 };
/// How often each side sleeps at least, or nothing was tried.
const SLEEPS: u32 = if cfg!(miri) { 1 } else { 1000 };
/// How often the driver looks for answers, at most, before it goes to sleep.
const LOOKS: usize = 100;
/// Nobody's work takes as long as this.
const TOO_LONG: Duration = Duration::from_secs(20);

#[test]
fn no_notification_is_lost_with_event_idx() {
    run(true);
}

#[test]
fn no_notification_is_lost_with_flags() {
    run(false);
}

fn run(event_idx: bool) {
    let memory = memory(&[region(0, 0x8000)]);
    let mut bench = Bench::paused_at(0);
    bench.install(LAYOUT.device(&memory), event_idx);
    let (kick, call) = (Bell::new("kick"), Bell::new("call"));
    let mut sender = Sender::new(Driver::new(&memory, LAYOUT), event_idx);
    let (driver, device) = std::thread::scope(|threads| {
        let device = threads.spawn(|| serve(&mut bench, &kick, &call));
        let driver = sender.send_all(&kick, &call);
        (driver, device.join().expect("the device's thread"))
    });
    println!("{REQUESTS} requests: the driver slept {driver} times, the device {device}");
    assert!(driver > SLEEPS && device > SLEEPS);
    assert_eq!(bench.ledger.in_flight(), 0);
}

/// A notification descriptor in the form of a flag.
struct Bell {
    name: &'static str,
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn new(name: &'static str) -> Self {
        Self { name, rung: Mutex::new(false), changed: Condvar::new() }
    }

    fn ring(&self) {
        *self.rung.lock().expect("the bell") = true;
        self.changed.notify_one();
    }

    /// Sleeps until it rings, if it has not rung already. Returns whether there was any sleep.
    fn sleep(&self) -> bool {
        let rung = self.rung.lock().expect("the bell");
        let slept = !*rung;
        let (mut rung, timeout) =
            self.changed.wait_timeout_while(rung, TOO_LONG, |rung| !*rung).expect("the bell");
        assert!(!timeout.timed_out(), "the {} was lost", self.name);
        *rung = false;
        slept
    }
}

/// What the device answers to a number, and how many bytes it says it has written.
fn answer(number: u64) -> (u64, u32) {
    let written = if number.is_multiple_of(3) { 8 } else { 5 };
    (!number, written)
}

/// The device: as the owner of a queue does it. Returns how often it slept.
fn serve(bench: &mut Bench, kick: &Bell, call: &Bell) -> u32 {
    let mut random = Random::new(11);
    let mut taken = Vec::new();
    let (mut served, mut slept) = (0, 0);
    while served < REQUESTS {
        let _ = bench.ledger.ring().expect("a ring").disable_kicks();
        let mut more = take(bench, &mut taken);
        let all = random.one_in(2);
        let now = if all { taken.len() } else { below(&mut random, taken.len() + 1) };
        for _ in 0..now {
            let request: Request = taken.swap_remove(below(&mut random, taken.len()));
            let mut number = [0; 8];
            request.readable().read(0, &mut number).expect("eight bytes");
            let (answer, written) = answer(u64::from_le_bytes(number));
            request.writable().write(0, &answer.to_le_bytes()).expect("eight bytes");
            bench.complete(request, written);
            served += 1;
        }
        if bench.publish() {
            call.ring();
        }
        more |= bench.ledger.ring().expect("a ring").enable_kicks();
        if !more && taken.is_empty() && served < REQUESTS {
            slept += u32::from(kick.sleep());
        }
    }
    slept
}

/// Takes at most a ring's worth of requests. Returns whether there may be more.
fn take(bench: &mut Bench, taken: &mut Vec<Request>) -> bool {
    for _ in 0..SIZE {
        match bench.pop() {
            Ok(Some(Popped::Request(request))) => taken.push(request),
            Ok(Some(Popped::Bad { head, error })) => panic!("bad chain at head {head}: {error}"),
            Ok(None) => return false,
            Err(error) => panic!("{error}"),
        }
    }
    true
}

fn below(random: &mut Random, end: usize) -> usize {
    usize::try_from(random.below(end as u64)).expect("less than a usize")
}

/// The driver, with what it has sent.
struct Sender<'m> {
    driver: Driver<'m>,
    event_idx: bool,
    free: Vec<u16>,
    /// The number that is in flight with each head.
    sent: [Option<u64>; HEADS as usize],
    next: u64,
}

impl<'m> Sender<'m> {
    fn new(driver: Driver<'m>, event_idx: bool) -> Self {
        for head in 0..HEADS {
            let number = Self::buffer_of(head);
            driver.write_chain(2 * head, &[buffer(number, 8, 0), buffer(number + 8, 8, WRITE)]);
        }
        let free = (0..HEADS).collect();
        Self { driver, event_idx, free, sent: [None; HEADS as usize], next: 0 }
    }

    fn buffer_of(head: u16) -> u64 {
        BUFFERS + 16 * u64::from(head)
    }

    /// Sends all requests and checks their answers. Returns how often it slept.
    fn send_all(&mut self, kick: &Bell, call: &Bell) -> u32 {
        let mut random = Random::new(7);
        let mut slept = 0;
        while self.next < REQUESTS || self.in_flight() > 0 {
            // Mostly few, so that everybody runs out of work soon, and often a single one, whose
            // notification no later one makes up for.
            let most = [1, 1, 24, HEADS.into()][below(&mut random, 4)];
            let depth = 1 + below(&mut random, most);
            while self.in_flight() < depth && self.next < REQUESTS {
                self.send_some(1 + below(&mut random, 8));
                if self.driver.must_kick(self.event_idx) {
                    kick.ring();
                }
            }
            self.driver.disable_calls(self.event_idx);
            // It wakes, sends and goes to sleep again at all moments of the device's round.
            let mut looks = below(&mut random, LOOKS);
            while !self.take_answers() {
                if looks > 0 {
                    looks -= 1;
                    std::hint::spin_loop();
                    continue;
                }
                if !self.driver.enable_calls(self.event_idx) {
                    slept += u32::from(call.sleep());
                }
                self.driver.disable_calls(self.event_idx);
            }
        }
        slept
    }

    fn in_flight(&self) -> usize {
        self.sent.len() - self.free.len()
    }

    /// Makes at most `count` requests available at once.
    fn send_some(&mut self, count: usize) {
        for _ in 0..count {
            if self.next == REQUESTS {
                break;
            }
            let Some(head) = self.free.pop() else { break };
            self.driver.write(Self::buffer_of(head), &self.next.to_le_bytes());
            self.sent[usize::from(head)] = Some(self.next);
            self.next += 1;
            self.driver.offer(2 * head);
        }
        self.driver.show();
    }

    /// Takes what is used: each head was sent, comes back once, and with its own answer. Returns
    /// whether there was anything.
    fn take_answers(&mut self) -> bool {
        let mut any = false;
        while let Some((first, written)) = self.driver.take_used() {
            let head = u16::try_from(first / 2).expect("a head");
            assert!(head < HEADS && first.is_multiple_of(2), "{first} was never sent");
            let number = self.sent[usize::from(head)].take().expect("it is in flight");
            let mut bytes = [0; 8];
            self.driver.memory(Self::buffer_of(head) + 8, 8).copy_to(&mut bytes);
            assert_eq!((u64::from_le_bytes(bytes), written), answer(number));
            self.free.push(head);
            any = true;
        }
        any
    }
}

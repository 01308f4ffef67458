// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Back ends that die before any store to the ring or to the in-flight region, also while they make
//! sense of what the one before left. Whatever the driver makes available is given back once, was
//! executed by then, and is not executed any more.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use super::Random;
use super::bench::{Bench, memory};
use super::driver::{Driver, Layout, buffer, region};
use crate::memory::{DirtyLog, MemoryMap};
use crate::ring::shared::WRITE;
use crate::ring::{
    Inflight, InflightRegion, InflightShape, Popped, Request, WriteLog, new_region, region_len,
};
use crate::sys::memfd;

const SIZE: u16 = 8;
const LAYOUT: Layout = Layout { start: 0, size: SIZE };
const SHAPE: InflightShape = InflightShape { num_queues: 1, queue_size: SIZE };
const SEEDS: u64 = 3000;
const LIVES: usize = 6;

thread_local! {
    /// How many stores the back end of this thread will do.
    static STORES: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// How a back end dies here.
struct Killed;

pub(in crate::ring) fn before_store() {
    match STORES.get() {
        u64::MAX => {}
        0 => resume_unwind(Box::new(Killed)),
        left => STORES.set(left - 1),
    }
}

/// What the driver knows of each head.
#[derive(Clone, Copy, Default)]
struct Chain {
    outstanding: bool,
    executed: u32,
    /// It is none that can be executed.
    bad: bool,
}

/// What outlives back ends.
struct World<'m> {
    memory: &'m Arc<MemoryMap>,
    region: File,
    driver: Driver<'m>,
    chains: [Chain; SIZE as usize],
    random: Random,
}

/// What a back end has in its hands: each request, and whether it was executed.
type Held = Vec<(Request, bool)>;

impl World<'_> {
    /// A part of a back end's life: some steps, and to the end of all requests if it is the last.
    fn live(&mut self, held: &mut Held, last: bool) {
        let region = self.region.try_clone().expect("a descriptor");
        let region = InflightRegion::map(region, (0, region_len(SHAPE)), SHAPE, 1);
        let part = Inflight::new(&Arc::new(region.expect("a region")), 0);
        // What it is told where to start does not count.
        let base = u16::try_from(self.random.below(0x1_0000)).expect("an index");
        let mut bench = Bench::tracked_at(base, part);
        bench.install(LAYOUT.device(self.memory), false);
        for _ in 0..self.random.below(60) {
            self.step(&mut bench, held);
        }
        if last {
            self.end(&mut bench, held);
        }
    }

    /// Serves until nothing is outstanding.
    fn end(&mut self, bench: &mut Bench, held: &mut Held) {
        loop {
            while self.pop(bench, held) {}
            while !held.is_empty() {
                self.complete(bench, held);
            }
            let _ = bench.publish();
            self.take_used();
            last_look(bench);
            if self.chains.iter().all(|chain| !chain.outstanding) {
                return;
            }
        }
    }

    fn step(&mut self, bench: &mut Bench, held: &mut Held) {
        match self.random.below(9) {
            0 | 1 => self.offer(),
            2 | 3 => drop(self.pop(bench, held)),
            4 | 5 => self.complete(bench, held),
            6 => {
                if let Some(at) = self.any(held) {
                    self.execute(held, at);
                }
            }
            7 => {
                let _ = bench.publish();
                if self.random.one_in(2) {
                    self.take_used();
                }
            }
            _ if self.random.one_in(4) => {
                let _ = bench.publish();
                bench.install(None, false);
                self.complete(bench, held);
                bench.install(LAYOUT.device(self.memory), false);
            }
            _ => {
                if let Some((request, false)) = held.pop_if(|(_, executed)| !*executed)
                    && let Err(request) = bench.hand_back(request)
                {
                    held.push((request, false));
                }
            }
        }
    }

    fn any(&mut self, held: &Held) -> Option<usize> {
        let count = u64::try_from(held.len()).expect("a number");
        let at = (count != 0).then(|| self.random.below(count))?;
        usize::try_from(at).ok()
    }

    fn pop(&mut self, bench: &mut Bench, held: &mut Held) -> bool {
        match bench.pop().expect("a ring that is not broken") {
            Some(Popped::Request(request)) => held.push((request, false)),
            Some(Popped::Bad { .. }) => {}
            None => return false,
        }
        true
    }

    fn complete(&mut self, bench: &mut Bench, held: &mut Held) {
        let Some(at) = self.any(held) else { return };
        self.execute(held, at);
        let (request, _) = held.remove(at);
        bench.complete(request, 16);
    }

    fn execute(&mut self, held: &mut Held, at: usize) {
        let (request, executed) = &mut held[at];
        if std::mem::replace(executed, true) {
            return;
        }
        let head = request.parts().head;
        // What the driver has back it may have used for something else by now.
        self.take_used();
        let chain = &mut self.chains[usize::from(head)];
        assert!(chain.outstanding, "head {head} is executed, and was given back before");
        chain.executed += 1;
    }

    /// The driver makes some chains available.
    fn offer(&mut self) {
        for _ in 0..self.random.below(4) {
            let is_free = |head: &u16| !self.chains[usize::from(*head)].outstanding;
            let free: Vec<u16> = (0..SIZE).filter(is_free).collect();
            let Some(count) = u64::try_from(free.len()).ok().filter(|count| *count != 0) else {
                break;
            };
            let head = free[usize::try_from(self.random.below(count)).expect("a number")];
            let bad = self.random.one_in(6);
            let len = if bad { 0 } else { 16 };
            self.driver.write_descriptor(head, buffer(0x1000 + 16 * u64::from(head), len, WRITE));
            self.chains[usize::from(head)] = Chain { outstanding: true, executed: 0, bad };
            self.driver.offer(head);
        }
        self.driver.show();
    }

    fn take_used(&mut self) {
        for (head, _) in self.driver.take_all_used() {
            let chain = &mut self.chains[usize::try_from(head).expect("a head")];
            assert!(chain.outstanding, "head {head} is given back twice");
            assert!(chain.bad || chain.executed != 0, "head {head} is given back unexecuted");
            chain.outstanding = false;
        }
    }
}

fn last_look(bench: &mut Bench) {
    bench.ledger.disable_kicks();
    let _ = bench.ledger.enable_kicks();
}

/// One sequence of back ends on one ring. Returns how many were killed.
fn lives(seed: u64) -> u64 {
    let memory = memory(&[region(0, 0x4000)]);
    let mut world = World {
        memory: &memory,
        region: new_region(SHAPE).expect("a region"),
        driver: Driver::new(&memory, LAYOUT),
        chains: [Chain::default(); SIZE as usize],
        random: Random::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
    };
    // Indices wrap around soon.
    let start = u16::MAX - u16::try_from(world.random.below(40)).expect("a small number");
    world.driver.begin_at(start);
    let mut killed = 0;
    for life in 0..=LIVES {
        let last = life == LIVES;
        let mut held = Held::new();
        let stores = world.random.below(120);
        STORES.set(if last { u64::MAX } else { stores });
        let end = catch_unwind(AssertUnwindSafe(|| world.live(&mut held, last)));
        STORES.set(u64::MAX);
        held.into_iter().for_each(|(request, _)| request.discard());
        match end {
            Ok(()) => {}
            Err(how) if how.is::<Killed>() => killed += 1,
            Err(panic) => resume_unwind(panic),
        }
        if world.random.one_in(2) {
            world.take_used();
            world.offer();
        }
        if last {
            world.take_used();
        }
    }
    killed
}

/// A dirty log of two bytes, and the log of a queue whose used ring is at page `page` for it.
fn logged_at(page: u64) -> (File, WriteLog) {
    let file = memfd("log").expect("memfd");
    file.set_len(2).expect("truncate");
    let log = DirtyLog::map(file.try_clone().expect("a descriptor"), 0, 2).expect("a log");
    (file, WriteLog { log: Arc::new(log), used_ring: Some(page << 12), notifier: None })
}

fn bytes(log: &File) -> [u8; 2] {
    let mut bytes = [0; 2];
    log.read_exact_at(&mut bytes, 0).expect("bytes");
    bytes
}

/// A back end with an in-flight region and a dirty log dies in its first publication, before the
/// store after `stores` more.
fn killed_in_publish(memory: &Arc<MemoryMap>, region: &File, log: WriteLog, stores: u64) {
    let region = region.try_clone().expect("a descriptor");
    let region = InflightRegion::map(region, (0, region_len(SHAPE)), SHAPE, 1);
    let part = Inflight::new(&Arc::new(region.expect("a region")), 0);
    let mut bench = Bench::tracked_at(0, part);
    bench.ledger.install(LAYOUT.device(memory), false, Some(log)).expect("a ring");
    let request = bench.request();
    bench.complete(request, 16);
    STORES.set(stores);
    let end = catch_unwind(AssertUnwindSafe(|| bench.publish()));
    STORES.set(u64::MAX);
    assert!(end.is_err(), "it lives");
}

#[test]
fn used_ring_is_logged_by_the_next_back_end_or_before_its_marks_go() {
    // The link, the last batch's head, used.idx, the mark, the region's used_idx.
    for (stores, used, logged) in [(2, 0, false), (3, 1, true), (4, 1, true)] {
        let memory = memory(&[region(0, 0x4000)]);
        let kept = new_region(SHAPE).expect("a region");
        let mut driver = Driver::new(&memory, LAYOUT);
        driver.write_descriptor(0, buffer(0x1000, 16, WRITE));
        driver.offer(0);
        driver.show();
        let (file, log) = logged_at(9);
        killed_in_publish(&memory, &kept, log, stores);
        // The request's buffer is on page 1.
        assert_eq!((driver.used_idx(), bytes(&file)), (used, [2, if logged { 2 } else { 0 }]));
    }
}

#[test]
fn group_of_an_earlier_back_end_is_logged_as_soon_as_there_is_a_log() {
    let memory = memory(&[region(0, 0x4000)]);
    let kept = new_region(SHAPE).expect("a region");
    let mut driver = Driver::new(&memory, LAYOUT);
    driver.set_used_idx(1);
    // Head 0 is marked, and was the last that was given back.
    kept.write_all_at(&[1], 16).expect("a mark");
    let region = InflightRegion::map(kept, (0, region_len(SHAPE)), SHAPE, 1);
    let part = Inflight::new(&Arc::new(region.expect("a region")), 0);
    let mut bench = Bench::tracked_at(0, part);
    bench.install(LAYOUT.device(&memory), false);
    let (file, log) = logged_at(9);
    bench.ledger.install(LAYOUT.device(&memory), false, Some(log)).expect("a ring");
    assert_eq!(bytes(&file), [0, 2]);
}

#[test]
fn back_ends_killed_before_any_store_lose_nothing_and_repeat_nothing() {
    let killed: u64 = (1..=SEEDS)
        .map(|seed| {
            catch_unwind(|| lives(seed)).unwrap_or_else(|panic| {
                println!("seed {seed}");
                resume_unwind(panic)
            })
        })
        .sum();
    println!("FIGURE: {killed} back ends were killed");
    assert!(killed > SEEDS, "{killed}");
}

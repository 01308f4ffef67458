// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Keeps as many requests in flight as each queue has slots.

use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

use super::pattern::{Generations, Words};
use super::queue::{Done, LoadQueue, Work};
use crate::image::SECTOR;
use crate::random::Random;

/// Of so many reads one is looked at.
const CHECKED: u64 = 64;
/// So many turns there are between two looks at the clock: of a driver that polls, and of one that
/// sleeps.
const TURNS: [u64; 2] = [256, 16];
/// How long a device may take for what is in flight at the end.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the driver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) work: Work,
    /// Whether each block is the one after the last, or any.
    pub(super) sequential: bool,
    /// Whether the driver sleeps on the call descriptor, or looks all the time.
    pub(super) sleeps: bool,
    /// Bytes of a request.
    pub(super) block: usize,
    /// Blocks of the disk.
    pub(super) blocks: u64,
}

/// The contents of the disk, if they are known.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) generations: Option<Generations>,
    /// What is written now.
    pub(super) generation: u8,
}

impl Contents {
    fn of(&self, block: u64) -> u8 {
        let block = usize::try_from(block).expect("a block of the disk");
        self.generations.as_ref().map_or(0, |generations| generations.of(block))
    }
}

/// What was done in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Window {
    pub(super) requests: u64,
    pub(super) seconds: f64,
    /// Reads whose contents were looked at.
    pub(super) checked: u64,
    pub(super) kicks: u64,
    /// How often the driver slept.
    pub(super) sleeps: u64,
}

/// A driver of one or several queues, which share a call descriptor.
#[derive(Debug)]
pub(super) struct Driver {
    queues: Vec<LoadQueue>,
    /// The block of each slot's request, by queue.
    blocks: Vec<Vec<u64>>,
    plan: Plan,
    contents: Option<Contents>,
    random: Random,
    last: u64,
    call: File,
    window: Window,
}

impl Driver {
    pub(super) fn new(
        mut queues: Vec<LoadQueue>,
        depth: u16,
        plan: Plan,
        contents: Option<Contents>,
        call: File,
    ) -> Self {
        queues.iter_mut().for_each(|queue| queue.turn_to(plan.work));
        let blocks = vec![vec![0; depth.into()]; queues.len()];
        let (random, window) = (Random::of(Random::seed()), Window::default());
        Self { queues, blocks, plan, contents, random, last: 0, call, window }
    }

    /// Fills the queues.
    pub(super) fn begin(&mut self) {
        for queue in 0..self.queues.len() {
            self.queues[queue].ask_for_no_calls();
            let slots = u16::try_from(self.blocks[queue].len()).expect("the depth");
            (0..slots).for_each(|slot| self.submit(queue, slot));
            self.publish(queue);
        }
    }

    /// Takes what is given back and submits as much, for as long as `time`; leaves the queues full.
    pub(super) fn go_on(&mut self, time: Duration) -> Window {
        self.window = Window::default();
        let begin = Instant::now();
        let often = TURNS[usize::from(self.plan.sleeps)];
        let mut turns = 0u64;
        loop {
            let taken = self.turn(true);
            turns += 1;
            if taken == 0 && self.plan.sleeps {
                self.sleep();
            }
            if turns.is_multiple_of(often) {
                let passed = begin.elapsed();
                if passed >= time {
                    self.window.seconds = passed.as_secs_f64();
                    return self.window;
                }
            }
            if taken == 0 {
                std::hint::spin_loop();
            }
        }
    }

    /// Takes what was given back, and submits as much.
    pub(super) fn one_turn(&mut self) {
        self.turn(true);
    }

    /// Waits for all that is in flight.
    ///
    /// # Panics
    /// When that takes longer than 20 seconds.
    pub(super) fn drain(&mut self) {
        let mut left: usize = self.blocks.iter().map(Vec::len).sum();
        let begin = Instant::now();
        while left > 0 {
            left -= self.turn(false);
            assert!(begin.elapsed() < PATIENCE, "{left} requests are not given back");
        }
    }

    /// Reads the whole disk once and looks at every block, with nothing in flight before; how many
    /// there are.
    pub(super) fn check_all(&mut self) -> u64 {
        self.queues.iter_mut().for_each(|queue| queue.turn_to(Work::Read));
        self.plan = Plan { work: Work::Read, ..self.plan };
        let depth = u64::try_from(self.blocks[0].len()).expect("the depth");
        let mut next = 0;
        while next < self.plan.blocks {
            let end = (next + depth).min(self.plan.blocks);
            for (slot, block) in (0..).zip(next..end) {
                self.ask(0, slot, block);
            }
            self.publish(0);
            let begin = Instant::now();
            for _ in next..end {
                while self.queues[0].ready() == 0 {
                    assert!(begin.elapsed() < PATIENCE, "a read at the end is not given back");
                }
                let done = self.queues[0].take();
                self.judge(0, done);
                self.look(0, done.slot);
            }
            next = end;
        }
        self.plan.blocks
    }

    /// Ends it; what the disk has in it now.
    pub(super) fn into_contents(self) -> Option<Contents> {
        self.contents
    }

    /// Takes what is given back in any queue, and submits as much `again`.
    #[inline]
    fn turn(&mut self, again: bool) -> usize {
        let mut taken = 0;
        for queue in 0..self.queues.len() {
            let ready = self.queues[queue].ready();
            if ready == 0 {
                continue;
            }
            assert!(usize::from(ready) <= self.blocks[queue].len(), "more back than in flight");
            for _ in 0..ready {
                let done = self.queues[queue].take();
                self.judge(queue, done);
                self.window.requests += 1;
                if self.plan.work == Work::Read && self.window.requests.is_multiple_of(CHECKED) {
                    self.look(queue, done.slot);
                }
                if again {
                    self.submit(queue, done.slot);
                }
            }
            self.publish(queue);
            taken += usize::from(ready);
        }
        taken
    }

    fn publish(&mut self, queue: usize) {
        self.window.kicks += u64::from(self.queues[queue].publish());
    }

    /// Waits for a call, unless something came back meanwhile.
    fn sleep(&mut self) {
        self.queues.iter().for_each(LoadQueue::ask_for_call);
        if self.queues.iter().all(|queue| queue.ready() == 0) {
            self.window.sleeps += 1;
            let mut calls = [0; 8];
            self.call.read_exact(&mut calls).expect("wait for a call");
        }
        // With EVENT_IDX a wish is for one call; without, it is taken back.
        if !self.queues[0].event_idx() {
            self.queues.iter().for_each(LoadQueue::ask_for_no_calls);
        }
    }

    #[inline]
    fn judge(&self, queue: usize, done: Done) {
        let block = self.blocks[queue][usize::from(done.slot)];
        let wanted = match self.plan.work {
            Work::Read => self.plan.block + 1,
            Work::Write => 1,
        };
        let written = usize::try_from(done.written).expect("a length");
        // Some back ends say that they wrote nothing.
        assert!(
            done.status == 0 && (written == wanted || written <= 1),
            "block {block}: the status {}, {written} bytes",
            done.status
        );
    }

    /// Submits a request for the next block, whichever that is.
    #[inline]
    fn submit(&mut self, queue: usize, slot: u16) {
        let block = if self.plan.sequential {
            self.last += 1;
            self.last % self.plan.blocks
        } else {
            // The high half of a product: as good as a remainder, without a division.
            ((self.random.number() >> 32) * self.plan.blocks) >> 32
        };
        if let (Work::Write, Some(contents)) = (self.plan.work, &mut self.contents) {
            let (memory, at) = self.queues[queue].buffer(slot);
            let offset = block * len_of(self.plan.block);
            memory.fill(at, Words::at(offset, self.plan.block, contents.generation));
            if let Some(generations) = &mut contents.generations {
                generations.set(usize::try_from(block).expect("a block"), contents.generation);
            }
        }
        self.ask(queue, slot, block);
    }

    #[inline]
    fn ask(&mut self, queue: usize, slot: u16, block: u64) {
        self.blocks[queue][usize::from(slot)] = block;
        self.queues[queue].add(slot, block * len_of(self.plan.block / SECTOR));
    }

    /// Looks at what was read into a slot's buffer.
    fn look(&mut self, queue: usize, slot: u16) {
        let Some(contents) = &self.contents else { return };
        let block = self.blocks[queue][usize::from(slot)];
        let offset = block * len_of(self.plan.block);
        let (memory, at) = self.queues[queue].buffer(slot);
        let words = Words::at(offset, self.plan.block, contents.of(block));
        assert!(memory.has(at, words), "the {} bytes at {offset} are others", self.plan.block);
        self.window.checked += 1;
    }
}

fn len_of(len: usize) -> u64 {
    u64::try_from(len).expect("a length in 64 bits")
}

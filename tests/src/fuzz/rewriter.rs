// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Another thread of the front end, which rewrites shared memory while the daemon reads it.
//!
//! Much of it is put back at once: whoever reads a word twice then sees two different ones, and what
//! was there is still served.

use std::fs::File;
use std::hint;
use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::land::LEN;
use super::twist::edge;
use crate::random::Random;
use crate::sys::Mapping;

/// What [`Range::kind`] is of an in-flight region, of a dirty log, and of a soft file, whose length is
/// changed. Below them: descriptor tables, available rings, used rings, headers, indirect tables,
/// buffers.
pub(super) const IN_FLIGHT: u32 = 6;
pub(super) const DIRTY_LOG: u32 = 7;
const SOFT: u32 = 8;

/// How many words are rewritten before it looks whether it is to go on.
const BURST: u32 = 512;

/// A part of shared memory.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) mapping: Arc<Mapping>,
    /// In bytes, from the beginning of the mapping.
    pub(super) offset: usize,
    /// In bytes.
    pub(super) len: usize,
    pub(super) kind: u32,
    /// The place of the request that it belongs to.
    pub(super) slot: Option<u64>,
}

/// The thread. It ends with the value.
#[derive(Debug)]
pub(super) struct Rewriter {
    work: Arc<Work>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Work {
    order: Mutex<Order>,
    /// Counts the orders, so that a new one is seen without the lock.
    orders: AtomicU64,
    /// How many words were rewritten.
    words: AtomicU64,
    /// The place of the newest request.
    newest: AtomicU64,
}

#[derive(Clone, Debug, Default)]
struct Order {
    ranges: Vec<Range>,
    /// Of each range only this word of eight bytes.
    word: Option<usize>,
    soft: Vec<Arc<File>>,
    seed: u64,
    end: bool,
}

impl Rewriter {
    pub(super) fn start() -> Self {
        let work = Arc::new(Work::default());
        let theirs = work.clone();
        let thread = thread::Builder::new().name("rewriter".to_owned());
        let thread = thread.spawn(move || theirs.run()).expect("start a thread");
        Self { work, thread: Some(thread) }
    }

    /// From now on: those of `ranges` and `soft` files whose kinds are bits of `kinds`, and nothing
    /// else. With a `word`, only that one of eight bytes in each range.
    pub(super) fn rewrite(
        &self,
        (kinds, word): (u32, Option<usize>),
        ranges: &[Range],
        soft: &[Arc<File>],
        seed: u64,
    ) {
        let wanted = |kind: u32| kinds >> kind & 1 == 1;
        let ranges = ranges.iter().filter(|range| wanted(range.kind)).cloned().collect();
        let soft = if wanted(SOFT) { soft.to_vec() } else { Vec::new() };
        self.work.say(Order { ranges, word, soft, seed, end: false });
        self.wake();
    }

    /// The newest request is in this place: what is there is looked at just now, most likely.
    pub(super) fn aim_at(&self, slot: u64) {
        self.work.newest.store(slot, Ordering::Relaxed);
    }

    /// From now on nothing.
    pub(super) fn pause(&self) {
        self.rewrite((0, None), &[], &[], 0);
    }

    /// How many words it has rewritten so far.
    pub(super) fn words(&self) -> u64 {
        self.work.words.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Rewriter {
    fn drop(&mut self) {
        self.work.say(Order { end: true, ..Order::default() });
        self.wake();
        // It does not panic; and if it did, it has ended.
        self.thread.take().map(JoinHandle::join);
    }
}

impl Work {
    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, order: Order) {
        *self.order() = order;
        self.orders.fetch_add(1, Ordering::Release);
    }

    fn run(&self) {
        loop {
            let (count, order) = (self.orders.load(Ordering::Acquire), self.order().clone());
            if order.end {
                return;
            }
            if order.ranges.is_empty() && order.soft.is_empty() {
                if self.orders.load(Ordering::Acquire) == count {
                    thread::park();
                }
                continue;
            }
            let mut random = Random::of(order.seed);
            while self.orders.load(Ordering::Acquire) == count {
                let newest = self.newest.load(Ordering::Relaxed);
                for _ in 0..BURST {
                    order.rewrite_one(newest, &mut random);
                }
                self.words.fetch_add(u64::from(BURST), Ordering::Relaxed);
                thread::yield_now();
            }
        }
    }
}

impl Order {
    fn rewrite_one(&self, newest: u64, random: &mut Random) {
        let soft = !self.soft.is_empty() && (self.ranges.is_empty() || random.below(16) == 0);
        if soft {
            let file = &self.soft[pick(random, self.soft.len())];
            // Nobody is hurt if it cannot be had.
            let _ = file.set_len([0, 0x1000, LEN / 2, LEN][pick(random, 4)]);
            let _ = file.set_len(2 * LEN);
            return;
        }
        let mut range = &self.ranges[pick(random, self.ranges.len())];
        if range.slot.is_some() && random.below(4) > 0 {
            let newest = |other: &&Range| other.slot == Some(newest) && other.kind == range.kind;
            range = self.ranges.iter().find(newest).unwrap_or(range);
        }
        let width = [1, 2, 4, 8][pick(random, 4)].min(range.len);
        // The first words are used most.
        let reach = if random.below(2) == 0 { range.len } else { range.len.min(256) };
        let (at, width) = match self.word {
            Some(word) => (word % (range.len / 8).max(1) * 8, range.len.min(8)),
            None => (pick(random, reach / width) * width, width),
        };
        let at = range.offset + at;
        let mut old = [0; 8];
        range.mapping.read(at, &mut old[..width]);
        let new = match random.below(6) {
            0 => random.number(),
            1 => random.below(32),
            2 => edge(u32::try_from(random.below(64)).unwrap_or_default()),
            3 => u64::from_le_bytes(old).wrapping_add(1 << random.below(32)),
            4 => u64::from_le_bytes(old) ^ 1 << random.below(64),
            // Where the regions begin and end.
            _ => (1 + random.below(4)) * LEN - random.below(3) * 0x200,
        };
        let new = new.to_le_bytes();
        let write = |bytes: &[u8; 8]| {
            range.mapping.write(at, &bytes[..width]);
            // Or the compiler would leave out what is written over at once.
            compiler_fence(Ordering::SeqCst);
        };
        match random.below(8) {
            0 => write(&new),
            // To and fro, faster than somebody reads twice.
            1..5 => {
                for _ in 0..256 {
                    write(&new);
                    write(&old);
                }
            }
            _ => {
                write(&new);
                (0..random.below(64)).for_each(|_| hint::spin_loop());
                write(&old);
            }
        }
    }
}

fn pick(random: &mut Random, count: usize) -> usize {
    let below = u64::try_from(count.max(1)).unwrap_or(1);
    usize::try_from(random.below(below)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::until;
    use crate::sys;

    #[test]
    fn rewriter_changes_what_it_is_told_to_and_nothing_else() {
        let file = sys::memfd(c"test", 4096).unwrap();
        let mapping = Arc::new(Mapping::new(&file, 0, 4096).unwrap());
        let range =
            |offset, kind| Range { mapping: mapping.clone(), offset, len: 64, kind, slot: None };
        let rewriter = Rewriter::start();
        rewriter.rewrite((1 << 3, None), &[range(0, 0), range(1024, 3)], &[], 1);
        until("a word that is rewritten", || {
            let mut bytes = [0; 64];
            mapping.read(1024, &mut bytes);
            (bytes != [0; 64]).then_some(())
        });
        drop(rewriter);
        let mut bytes = [0; 4096];
        mapping.read(0, &mut bytes);
        assert!(bytes[..1024].iter().chain(&bytes[1088..]).all(|byte| *byte == 0));
    }
}

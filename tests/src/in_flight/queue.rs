// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a region says about one split virtqueue: QueueRegionSplit and DescStateSplit.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::{ENTRY, HEADER};

/// The version of a part that a back end has initialised; before that it is 0.
pub const VERSION: u16 = 1;

/// Where the fields of the header are, in bytes.
mod at {
    pub(super) const FEATURES: u64 = 0;
    pub(super) const VERSION: u64 = 8;
    pub(super) const DESC_NUM: u64 = 10;
    pub(super) const LAST_BATCH_HEAD: u64 = 12;
    pub(super) const USED_IDX: u64 = 14;
}

/// What is said about one descriptor; it counts for heads alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// 1 while the request that begins there is in flight.
    pub in_flight: u8,
    /// The head that was used before it, in the batch of used elements that was written last.
    pub next: u16,
    /// Tells the order in which requests were taken.
    pub counter: u64,
}

impl Entry {
    /// Its length in bytes.
    const SIZE: usize = 16;

    fn of(bytes: &[u8; Self::SIZE]) -> Self {
        let [in_flight, _, _, _, _, _, next @ ..] = bytes;
        let [next_0, next_1, counter @ ..] = next;
        Self {
            in_flight: *in_flight,
            next: u16::from_ne_bytes([*next_0, *next_1]),
            counter: u64::from_ne_bytes(*counter),
        }
    }

    fn bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[0] = self.in_flight;
        bytes[6..8].copy_from_slice(&self.next.to_ne_bytes());
        bytes[8..].copy_from_slice(&self.counter.to_ne_bytes());
        bytes
    }
}

/// The part of a region that is one queue's.
#[derive(Clone, Copy, Debug)]
pub struct QueuePart<'r> {
    file: &'r File,
    start: u64,
    size: u16,
}

impl<'r> QueuePart<'r> {
    pub(super) fn new(file: &'r File, start: u64, size: u16) -> Self {
        Self { file, start, size }
    }

    /// The flags of the region's features; none is known.
    pub fn features(self) -> u64 {
        u64::from_ne_bytes(self.read(at::FEATURES))
    }

    /// The version: 0 before a back end has seen the region, then [`VERSION`].
    pub fn version(self) -> u16 {
        u16::from_ne_bytes(self.read(at::VERSION))
    }

    /// How many entries there are.
    pub fn desc_num(self) -> u16 {
        u16::from_ne_bytes(self.read(at::DESC_NUM))
    }

    /// The head that was used last.
    pub fn last_batch_head(self) -> u16 {
        u16::from_ne_bytes(self.read(at::LAST_BATCH_HEAD))
    }

    /// The index of the used ring when the marks of the last batch had been cleared.
    pub fn used_idx(self) -> u16 {
        u16::from_ne_bytes(self.read(at::USED_IDX))
    }

    /// What is said about the descriptor `head`.
    #[track_caller]
    pub fn entry(self, head: u16) -> Entry {
        Entry::of(&self.read(self.entry_at(head)))
    }

    /// The heads that are marked as in flight, in the order of their counters.
    pub fn marked(self) -> Vec<u16> {
        // All at once: a back end that runs does not wait.
        let mut bytes = vec![0; usize::from(self.size) * Entry::SIZE];
        self.file.read_exact_at(&mut bytes, self.start + HEADER).expect("read the region");
        let (entries, _) = bytes.as_chunks();
        let entries = entries.iter().map(Entry::of).zip(0..self.size);
        let marked = entries.filter(|(entry, _)| entry.in_flight != 0);
        let mut marked: Vec<(u64, u16)> =
            marked.map(|(entry, head)| (entry.counter, head)).collect();
        marked.sort_unstable();
        marked.into_iter().map(|(_, head)| head).collect()
    }

    /// Nothing is marked, and the last batch is settled: the region is at `used_idx`.
    #[track_caller]
    pub fn expect_settled(self, used_idx: u16) {
        assert_eq!(self.marked(), [0u16; 0], "heads that are marked although nothing is in flight");
        assert_eq!(self.used_idx(), used_idx, "the used index in the region");
    }
}

/// Writing it by hand.
impl QueuePart<'_> {
    /// Writes the header of a part that was initialised, with the ring at `used_idx`.
    pub fn initialise(self, used_idx: u16) {
        self.set_features(0);
        self.set_version(VERSION);
        self.set_desc_num(self.size);
        self.set_last_batch_head(0);
        self.set_used_idx(used_idx);
    }

    /// Writes the flags of the region's features.
    pub fn set_features(self, features: u64) {
        self.write(at::FEATURES, &features.to_ne_bytes());
    }

    /// Writes the version.
    pub fn set_version(self, version: u16) {
        self.write(at::VERSION, &version.to_ne_bytes());
    }

    /// Writes the number of entries.
    pub fn set_desc_num(self, number: u16) {
        self.write(at::DESC_NUM, &number.to_ne_bytes());
    }

    /// Writes the head of the last batch.
    pub fn set_last_batch_head(self, head: u16) {
        self.write(at::LAST_BATCH_HEAD, &head.to_ne_bytes());
    }

    /// Writes the index of the used ring.
    pub fn set_used_idx(self, index: u16) {
        self.write(at::USED_IDX, &index.to_ne_bytes());
    }

    /// Writes what is said about the descriptor `head`.
    #[track_caller]
    pub fn set_entry(self, head: u16, entry: Entry) {
        self.write(self.entry_at(head), &entry.bytes());
    }

    /// Marks `head` as in flight.
    #[track_caller]
    pub fn mark(self, head: u16, counter: u64) {
        self.set_entry(head, Entry { in_flight: 1, counter, ..self.entry(head) });
    }

    /// Links `heads`, in the order in which they were used, as the last batch.
    #[track_caller]
    pub fn link_batch(self, heads: &[u16]) {
        for head in heads {
            self.set_entry(*head, Entry { next: self.last_batch_head(), ..self.entry(*head) });
            self.set_last_batch_head(*head);
        }
    }

    #[track_caller]
    fn entry_at(self, head: u16) -> u64 {
        assert!(head < self.size, "the entry {head} of {}", self.size);
        HEADER + ENTRY * u64::from(head)
    }

    fn read<const N: usize>(self, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, self.start + at).expect("read the region");
        bytes
    }

    fn write(self, at: u64, bytes: &[u8]) {
        self.file.write_all_at(bytes, self.start + at).expect("write the region");
    }
}

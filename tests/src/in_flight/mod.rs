// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The region in which a back end notes what it has in flight, as a front end keeps it over the
//! back end's lives (vhost-user, "Inflight I/O tracking").
//!
//! It is a file of its own: a part for each queue, one after the other, each of a header of 16
//! bytes and an entry of 16 bytes for every descriptor, rounded up to a multiple of 64 bytes. All
//! numbers are in the machine's byte order. What is read here may be half written by a back end
//! that runs; of one that has ended it is what that left.

mod queue;

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use crate::sys;

pub use queue::{Entry, QueuePart, VERSION};

/// The header of a queue's part, and each entry behind it, in bytes.
const HEADER: u64 = 16;
const ENTRY: u64 = 16;
/// A queue's part is as long as a multiple of this.
const ALIGNMENT: u64 = 64;

/// What the messages say about a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Its length in bytes.
    pub mmap_size: u64,
    /// Where it begins in its file.
    pub mmap_offset: u64,
    /// How many queues it is for.
    pub num_queues: u16,
    /// How many descriptors each of them has at most.
    pub queue_size: u16,
}

impl Geometry {
    /// A question about, or a region for, `num_queues` queues of `queue_size` descriptors, at the
    /// beginning of its file.
    pub fn of(num_queues: u16, queue_size: u16) -> Self {
        let mmap_size = part_len(queue_size) * u64::from(num_queues);
        Self { mmap_size, mmap_offset: 0, num_queues, queue_size }
    }
}

/// A region in a memory file.
#[derive(Debug)]
pub struct InFlightRegion {
    file: File,
    geometry: Geometry,
}

impl InFlightRegion {
    /// A region that no back end has seen: all zeroes.
    pub fn new(num_queues: u16, queue_size: u16) -> Self {
        Self::with(Geometry::of(num_queues, queue_size))
    }

    /// The same, wherever `geometry` has it in its file.
    pub fn with(geometry: Geometry) -> Self {
        let len = geometry.mmap_offset + geometry.mmap_size;
        let file = sys::memfd(c"test-in-flight", len).expect("make a memfd for the region");
        Self { file, geometry }
    }

    /// The region that is described by `geometry` in `file`.
    pub fn of(file: File, geometry: Geometry) -> Self {
        Self { file, geometry }
    }

    /// What the messages say about it.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The file that it is in.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What it has to say about the queue `index`.
    #[track_caller]
    pub fn queue(&self, index: u16) -> QueuePart<'_> {
        let Geometry { mmap_offset, num_queues, queue_size, .. } = self.geometry;
        assert!(index < num_queues, "queue {index} in a region for {num_queues} queues");
        QueuePart::new(
            &self.file,
            mmap_offset + u64::from(index) * part_len(queue_size),
            queue_size,
        )
    }

    /// How many heads are marked, of all queues together.
    pub fn marks(&self) -> usize {
        (0..self.geometry.num_queues).map(|index| self.queue(index).marked().len()).sum()
    }

    /// All bytes of the region.
    pub fn bytes(&self) -> Vec<u8> {
        let len = usize::try_from(self.geometry.mmap_size).expect("the length of the region");
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, self.geometry.mmap_offset).expect("read the region");
        bytes
    }
}

impl AsFd for InFlightRegion {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The length of a queue's part, in bytes.
fn part_len(queue_size: u16) -> u64 {
    (HEADER + ENTRY * u64::from(queue_size)).next_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_queues_are_multiples_of_64_bytes() {
        let sizes = [1, 3, 4, 128].map(|size| Geometry::of(2, size).mmap_size);
        assert_eq!(sizes, [2 * 64, 2 * 64, 2 * 128, 2 * 2112]);
    }

    #[test]
    fn fields_are_where_the_specification_has_them() {
        let region = InFlightRegion::new(2, 4);
        let part = region.queue(1);
        part.set_version(0x0102);
        part.set_desc_num(0x0304);
        part.set_last_batch_head(0x0506);
        part.set_used_idx(0x0708);
        part.set_entry(1, Entry { in_flight: 9, next: 0x0a0b, counter: 0x0c0d_0e0f });
        let bytes = region.bytes();
        let at = |offset: usize, len: usize| bytes[128 + offset..][..len].to_vec();
        assert_eq!(at(8, 2), 0x0102u16.to_ne_bytes());
        assert_eq!(at(10, 2), 0x0304u16.to_ne_bytes());
        assert_eq!(at(12, 2), 0x0506u16.to_ne_bytes());
        assert_eq!(at(14, 2), 0x0708u16.to_ne_bytes());
        assert_eq!(at(32, 1), [9]);
        assert_eq!(at(38, 2), 0x0a0bu16.to_ne_bytes());
        assert_eq!(at(40, 8), 0x0c0d_0e0fu64.to_ne_bytes());
        assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 15);
    }

    #[test]
    fn marked_heads_are_told_in_the_order_of_their_counters() {
        let region = InFlightRegion::new(1, 8);
        let part = region.queue(0);
        for (head, counter) in [(1, 30), (7, 10), (3, 20)] {
            part.mark(head, counter);
        }
        assert_eq!(part.marked(), [7, 3, 1]);
        assert_eq!(region.marks(), 3);
    }

    #[test]
    fn batch_is_linked_from_its_last_head() {
        let region = InFlightRegion::new(1, 8);
        let part = region.queue(0);
        part.link_batch(&[5, 2, 6]);
        assert_eq!(part.last_batch_head(), 6);
        assert_eq!([6, 2].map(|head| part.entry(head).next), [2, 5]);
    }
}

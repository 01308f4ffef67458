// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The in-flight region (vhost-user, "Inflight I/O tracking", split virtqueues): which requests
//! were taken and not given back, in memory that outlives us. The front end keeps it while one back
//! end dies and another one takes over.
//!
//! Nothing in it is believed while we run: it is read when a queue starts, and only written from
//! then on.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::guest::Piece;
use crate::hooks::{self, Point};
use crate::memory::{MapError, Mapped};
use crate::sys;

/// Byte offsets in a queue's part of the region.
const FEATURES: usize = 0;
const VERSION: usize = 8;
const DESC_NUM: usize = 10;
const LAST_BATCH_HEAD: usize = 12;
const USED_IDX: usize = 14;
const DESCRIPTORS: usize = 16;

/// Byte offsets in the state of a descriptor.
const MARK: usize = 0;
const NEXT: usize = 6;
const COUNTER: usize = 8;

/// Bytes of the state of a descriptor.
const STATE: usize = 16;

/// What each queue's part begins at a multiple of, in bytes; as libvhost-user has it, so that one
/// can take over from the other.
const ALIGNMENT: usize = 64;

/// The version of this layout.
const THIS_VERSION: u16 = 1;

/// A region that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegionRefused {
    #[error("it is for {num_queues} queues of {queue_size} descriptors")]
    Shape { num_queues: u16, queue_size: u16 },
    #[error("it has {len:#x} bytes and needs {needed:#x}")]
    TooShort { len: u64, needed: u64 },
    #[error("map it")]
    Map(#[from] MapError),
    #[error("its bytes for queue {queue} are not aligned")]
    Misaligned { queue: u16 },
    #[error("its pages cannot be had")]
    Lost,
    #[error(
        "queue {queue} has features {features:#x}, version {version} and {desc_num} descriptors in it"
    )]
    Contents { queue: u16, features: u64, version: u16, desc_num: u16 },
}

/// What a queue's part of the region says cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotRecoverable {
    #[error("in-flight region: {behind} used elements are not accounted for, ring size {size}")]
    Behind { behind: u16, size: u16 },
    #[error("in-flight region: head {head} is beyond ring size {size}")]
    Head { head: u16, size: u16 },
}

/// What the in-flight region has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InflightShape {
    pub(crate) num_queues: u16,
    /// Descriptors of each queue.
    pub(crate) queue_size: u16,
}

impl InflightShape {
    /// The payload of GET_INFLIGHT_FD's reply: a region of `len` bytes at the beginning of the
    /// file that comes with it, or none if that is zero.
    pub(crate) fn reply(self, len: u64) -> Vec<u8> {
        let Self { num_queues, queue_size } = self;
        let offset = 0_u64;
        // As long as the C structure that front ends compare its length with. The one of the crate
        // would give away what happens to be in its padding.
        let padding = [0; 4];
        [
            &len.to_ne_bytes()[..],
            &offset.to_ne_bytes(),
            &num_queues.to_ne_bytes(),
            &queue_size.to_ne_bytes(),
            &padding,
        ]
        .concat()
    }
}

/// The whole region, mapped.
pub(crate) struct InflightRegion {
    mapped: Mapped,
    /// How many queues of ours are in it.
    queues: u16,
    queue_size: u16,
}

/// Bytes of one queue's part, with `queue_size` descriptors.
fn stride(queue_size: u16) -> usize {
    (DESCRIPTORS + STATE * usize::from(queue_size)).next_multiple_of(ALIGNMENT)
}

/// Bytes of a region.
pub(crate) fn region_len(InflightShape { num_queues, queue_size }: InflightShape) -> u64 {
    (usize::from(num_queues) * stride(queue_size)) as u64
}

/// A new region without a request in flight, for the front end to keep.
pub(crate) fn new_region(shape: InflightShape) -> io::Result<File> {
    let InflightShape { num_queues, queue_size } = shape;
    let file = sys::sealed_memfd("in-flight", region_len(shape))?;
    let header = [THIS_VERSION.to_ne_bytes(), queue_size.to_ne_bytes()].concat();
    for queue in 0..usize::from(num_queues) {
        file.write_all_at(&header, (queue * stride(queue_size) + VERSION) as u64)?;
    }
    Ok(file)
}

impl InflightRegion {
    /// Maps the region in `len` bytes of `file` from `offset` on, as far as it is about the first
    /// `queues` queues: the back end before us may have had more. What was never used before is
    /// made ready.
    pub(crate) fn map(
        file: File,
        (offset, len): (u64, u64),
        shape: InflightShape,
        queues: u16,
    ) -> Result<Self, RegionRefused> {
        let InflightShape { num_queues, queue_size } = shape;
        if num_queues == 0 || queue_size == 0 {
            return Err(RegionRefused::Shape { num_queues, queue_size });
        }
        let needed = region_len(shape);
        if len < needed {
            return Err(RegionRefused::TooShort { len, needed });
        }
        let queues = queues.min(num_queues);
        let ours = InflightShape { num_queues: queues, queue_size };
        let mapped = Mapped::new(file, offset, region_len(ours))?;
        let region = Self { mapped, queues, queue_size };
        for queue in 0..queues {
            let part = region.part(queue).filter(|part| part.start().addr().is_multiple_of(8));
            let part = part.ok_or(RegionRefused::Misaligned { queue })?;
            let (features, version) = (part.load::<u64>(FEATURES), part.load(VERSION));
            let desc_num = part.load(DESC_NUM);
            if version == 0 {
                part.write(&vec![0; part.len()]);
                part.store(DESC_NUM, queue_size);
                part.store(VERSION, THIS_VERSION);
            } else if (features, version, desc_num) != (0, THIS_VERSION, queue_size) {
                return Err(RegionRefused::Contents { queue, features, version, desc_num });
            }
        }
        if region.is_lost() { Err(RegionRefused::Lost) } else { Ok(region) }
    }

    /// How many descriptors of a queue it has room for, if it has any for that queue.
    pub(crate) fn room(&self, queue: u16) -> Option<u16> {
        (queue < self.queues).then_some(self.queue_size)
    }

    fn part(&self, queue: u16) -> Option<Piece> {
        let stride = stride(self.queue_size);
        let part = self.mapped.piece(usize::from(queue) * stride, stride)?;
        (part.len() == stride).then_some(part)
    }

    /// Whether pages of the region could not be had.
    pub(crate) fn is_lost(&self) -> bool {
        self.mapped.is_lost()
    }
}

impl std::fmt::Debug for InflightRegion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InflightRegion")
            .field("queues", &self.queues)
            .field("queue_size", &self.queue_size)
            .finish_non_exhaustive()
    }
}

/// One queue's part of the region, as its owner keeps it up to date.
#[derive(Debug)]
pub(crate) struct Inflight {
    part: Piece,
    region: Arc<InflightRegion>,
    /// The next counter, by which marks are put in order.
    counter: u64,
    last_batch_head: u16,
    /// Heads that are given back with the next `used.idx`.
    group: Vec<u16>,
}

/// What the last back end left when it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// The heads that are in flight still, in the order in which they were taken.
    pub(crate) heads: Vec<u16>,
    /// The used indices of the group that it was giving back: the dirty log may not know of them.
    /// They may wrap around; there are none if both ends are the same.
    pub(crate) given_back: Range<u16>,
}

impl Inflight {
    /// A queue's part of the region, if it has one.
    pub(crate) fn new(region: &Arc<InflightRegion>, queue: u16) -> Option<Self> {
        region.room(queue)?;
        Some(Self {
            part: region.part(queue)?,
            region: Arc::clone(region),
            counter: 0,
            last_batch_head: 0,
            group: Vec::new(),
        })
    }

    /// Finishes what the last back end was about when it ended, with the ring's `used.idx`, and
    /// tells what it left. The ring has `size` descriptors, no more than the region.
    pub(crate) fn recover(&mut self, used_idx: u16, size: u16) -> Result<Left, NotRecoverable> {
        let last_batch_head = self.part.load(LAST_BATCH_HEAD);
        let is_marked = |head: &u16| self.part.load::<u8>(state(*head) + MARK) == 1;
        let marked: Vec<_> = (0..self.region.queue_size).filter(is_marked).collect();
        // Without a mark nothing was in flight, and the ring may be another one by now: a front end
        // may keep the region when the guest starts anew.
        let from = if marked.is_empty() { used_idx } else { self.part.load(USED_IDX) };
        let given_back = self.group_before(last_batch_head, used_idx.wrapping_sub(from), size)?;
        let counted = |head| (self.part.load::<u64>(state(head) + COUNTER), head);
        let left = marked.into_iter().filter(|head| !given_back.contains(head));
        let mut left: Vec<_> = left.map(counted).collect();
        left.sort_unstable();
        if let Some((_, head)) = left.iter().find(|(_, head)| *head >= size) {
            return Err(NotRecoverable::Head { head: *head, size });
        }

        for head in given_back {
            self.set_mark(head, 0);
        }
        self.part.store(USED_IDX, used_idx);
        self.last_batch_head = last_batch_head;
        self.counter = left.last().map_or(0, |(counter, _)| counter.wrapping_add(1));
        let heads = left.into_iter().map(|(_, head)| head).collect();
        Ok(Left { heads, given_back: from..used_idx })
    }

    /// The last `count` heads that were given back, or were about to be.
    fn group_before(&self, last: u16, count: u16, size: u16) -> Result<Vec<u16>, NotRecoverable> {
        if count > size {
            return Err(NotRecoverable::Behind { behind: count, size });
        }
        let next = |head: u16| self.part.load(state(head) + NEXT);
        let mut group = Vec::new();
        let mut head = last;
        for _ in 0..count {
            if head >= size {
                return Err(NotRecoverable::Head { head, size });
            }
            group.push(head);
            head = next(head);
        }
        Ok(group)
    }

    /// The chain at `head` was taken. From here on it counts as in flight.
    #[inline]
    pub(crate) fn mark(&mut self, head: u16) {
        self.part.store(state(head) + COUNTER, self.counter);
        self.counter = self.counter.wrapping_add(1);
        self.set_mark(head, 1);
        hooks::pass(Point::Mark);
    }

    /// The chain at `head` is left to the driver after all.
    pub(crate) fn unmark(&mut self, head: u16) {
        self.set_mark(head, 0);
    }

    /// The chain at `head` is done; the driver learns of it with the next group.
    #[inline]
    pub(crate) fn complete(&mut self, head: u16) {
        self.group.push(head);
    }

    /// Before `used.idx` is stored: leaves word of which heads it gives back.
    #[inline]
    pub(crate) fn before_used_idx(&mut self) {
        for head in &self.group {
            self.part.store(state(*head) + NEXT, self.last_batch_head);
            self.part.store(LAST_BATCH_HEAD, *head);
            self.last_batch_head = *head;
        }
    }

    /// After `used.idx` was stored: they are in flight no more.
    #[inline]
    pub(crate) fn after_used_idx(&mut self, used_idx: u16) {
        let half = self.group.len().div_ceil(2);
        for (cleared, head) in (1..).zip(&self.group) {
            self.set_mark(*head, 0);
            if cleared == half {
                hooks::pass(Point::HalfMarks);
            }
        }
        self.group.clear();
        self.part.store(USED_IDX, used_idx);
    }

    /// Whether pages of the region could not be had.
    pub(crate) fn is_lost(&self) -> bool {
        self.region.is_lost()
    }

    #[inline]
    fn set_mark(&self, head: u16, mark: u8) {
        self.part.store(state(head) + MARK, mark);
    }
}

/// Where the state of a descriptor is in its queue's part.
#[inline]
fn state(head: u16) -> usize {
    DESCRIPTORS + STATE * usize::from(head)
}

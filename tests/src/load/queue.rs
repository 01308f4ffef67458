// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A driver's split virtqueue whose requests are all written beforehand: what is left to do for each
//! is a sector, a status byte and an entry in either ring.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::fence;

use virtio_bindings::bindings::virtio_blk::{VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT};

use super::layout::{Layout, Shape};
use super::sys::Area;
use crate::driver::{Descriptor, INDIRECT, NO_INTERRUPT, NO_NOTIFY, Rings, Segment};
use crate::memory::GuestMemory;

/// What is in the status byte before the device writes it.
const UNTOUCHED: u8 = 0xff;
/// The length of a request's header.
const HEADER: usize = 16;

/// What the requests of a queue are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Read,
    Write,
}

/// A queue with its memory, its requests and its position in both rings.
#[derive(Debug)]
pub(super) struct LoadQueue {
    memory: Arc<Area>,
    layout: Layout,
    shape: Shape,
    event_idx: bool,
    /// The next entry of the available ring, and where the device was told that it ends.
    next_available: u16,
    published: u16,
    /// The next entry of the used ring.
    next_used: u16,
    /// Shared with whoever told the device about it.
    kick: File,
}

/// A request that the device gave back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub(super) slot: u16,
    /// How many bytes the device says that it wrote.
    pub(super) written: u32,
    pub(super) status: u8,
}

impl LoadQueue {
    /// An empty queue, somewhere in `memory`; [`Self::turn_to`] comes before the first request.
    pub(super) fn new(memory: &GuestMemory, shape: Shape, event_idx: bool, kick: File) -> Self {
        let layout = Layout::new(shape);
        let memory = Arc::new(Area::new(memory.buffer(layout.len)));
        let (next_available, published, next_used) = (0, 0, 0);
        Self { memory, layout, shape, event_idx, next_available, published, next_used, kick }
    }

    /// Makes all requests those of one `work`. None may be in flight.
    pub(super) fn turn_to(&mut self, work: Work) {
        (0..self.shape.depth).for_each(|slot| self.describe(slot, work));
    }

    /// How much memory a queue takes.
    pub(super) fn memory_of(shape: Shape) -> usize {
        Layout::new(shape).len
    }

    /// How many descriptors it has.
    pub(super) fn size(&self) -> u16 {
        self.layout.size
    }

    /// Whether the sides say by index when they want to be notified.
    pub(super) fn event_idx(&self) -> bool {
        self.event_idx
    }

    /// Where it is.
    pub(super) fn rings(&self) -> Rings {
        Rings {
            descriptors: self.memory.address(0),
            available: self.memory.address(self.layout.available),
            used: self.memory.address(self.layout.used),
        }
    }

    /// Writes a slot's header and the chain of its three descriptors.
    fn describe(&self, slot: u16, work: Work) {
        let (memory, layout) = (&self.memory, &self.layout);
        let header = layout.header(slot);
        let kind = if work == Work::Read { VIRTIO_BLK_T_IN } else { VIRTIO_BLK_T_OUT };
        memory.u32(header).store(kind.to_le(), Relaxed);
        let at = |offset| memory.address(offset);
        let segment = if work == Work::Read { Segment::writable } else { Segment::readable };
        let data = segment(at(layout.data(slot)), self.shape.block);
        // In a table of its own a chain begins with the descriptor 0.
        let first = if self.shape.indirect { 0 } else { layout.head(slot) };
        let chain = [
            Segment::readable(at(header), HEADER).before(first + 1),
            data.before(first + 2),
            Segment::writable(at(layout.status(slot)), 1).last(),
        ];
        for (i, descriptor) in chain.into_iter().enumerate() {
            self.write_descriptor(layout.chain(slot) + 16 * i, descriptor);
        }
        if self.shape.indirect {
            let table = Segment::readable(at(layout.chain(slot)), 16 * chain.len());
            let table = Descriptor { flags: INDIRECT, ..table.last() };
            self.write_descriptor(16 * usize::from(layout.head(slot)), table);
        }
    }

    fn write_descriptor(&self, at: usize, descriptor: Descriptor) {
        let bytes = descriptor.bytes();
        let (words, _) = bytes.as_chunks();
        for (i, word) in words.iter().enumerate() {
            self.memory.u64(at + 8 * i).store(u64::from_ne_bytes(*word), Relaxed);
        }
    }
}

/// The path of a request.
impl LoadQueue {
    /// Puts a slot's request, for the disk's `sector`, in the available ring.
    #[inline]
    pub(super) fn add(&mut self, slot: u16, sector: u64) {
        let (memory, layout) = (&self.memory, &self.layout);
        memory.u64(layout.header(slot) + 8).store(sector.to_le(), Relaxed);
        memory.byte(layout.status(slot)).store(UNTOUCHED, Relaxed);
        let entry = self.next_available & (layout.size - 1);
        let entry = layout.available + 4 + 2 * usize::from(entry);
        memory.u16(entry).store(layout.head(slot).to_le(), Relaxed);
        self.next_available = self.next_available.wrapping_add(1);
    }

    /// Shows the device what was added, and kicks it if it wants that; says whether it did.
    #[inline]
    pub(super) fn publish(&mut self) -> bool {
        let (new, old) = (self.next_available, self.published);
        if new == old {
            return false;
        }
        self.published = new;
        self.memory.u16(self.layout.available + 2).store(new.to_le(), Release);
        // The device writes its wish and then looks at the index; we wrote the index before this.
        fence(SeqCst);
        let used = self.layout.used;
        let wanted = if self.event_idx {
            let event = used + 4 + 8 * usize::from(self.layout.size);
            let event = u16::from_le(self.memory.u16(event).load(Relaxed));
            new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
        } else {
            u16::from_le(self.memory.u16(used).load(Relaxed)) & NO_NOTIFY == 0
        };
        if wanted {
            (&self.kick).write_all(&1u64.to_ne_bytes()).expect("kick the device");
        }
        wanted
    }

    /// How many requests the device has given back that were not taken yet.
    #[inline]
    pub(super) fn ready(&self) -> u16 {
        let index = u16::from_le(self.memory.u16(self.layout.used + 2).load(Acquire));
        index.wrapping_sub(self.next_used)
    }

    /// The next request that the device gave back, of those that are [`Self::ready`].
    ///
    /// # Panics
    /// When it gives back what it was not given.
    #[inline]
    pub(super) fn take(&mut self) -> Done {
        let entry = self.next_used & (self.layout.size - 1);
        let entry = self.layout.used + 4 + 8 * usize::from(entry);
        let head = u32::from_le(self.memory.u32(entry).load(Relaxed));
        let written = u32::from_le(self.memory.u32(entry + 4).load(Relaxed));
        let slot = self.layout.slot(head).expect("the head of a chain in the used ring");
        self.next_used = self.next_used.wrapping_add(1);
        let status = self.memory.byte(self.layout.status(slot)).load(Relaxed);
        Done { slot, written, status }
    }

    /// Asks for a call for the next request that is given back; the caller looks once more then.
    pub(super) fn ask_for_call(&self) {
        if self.event_idx {
            let event = self.layout.available + 4 + 2 * usize::from(self.layout.size);
            self.memory.u16(event).store(self.next_used.to_le(), Relaxed);
        } else {
            self.memory.u16(self.layout.available).store(0, Relaxed);
        }
        // We write our wish and then look at the index; the device does the reverse.
        fence(SeqCst);
    }

    /// Asks for no calls. With EVENT_IDX one comes in 65536 requests.
    pub(super) fn ask_for_no_calls(&self) {
        if self.event_idx {
            let event = self.layout.available + 4 + 2 * usize::from(self.layout.size);
            self.memory.u16(event).store(self.next_used.wrapping_sub(1).to_le(), Relaxed);
        } else {
            self.memory.u16(self.layout.available).store(NO_INTERRUPT.to_le(), Relaxed);
        }
    }

    /// Where everything is, for the other side.
    pub(super) fn shared(&self) -> (Arc<Area>, Layout) {
        (Arc::clone(&self.memory), self.layout)
    }

    /// The queue's memory, and where in it the slot's buffer is.
    pub(super) fn buffer(&self, slot: u16) -> (&Area, usize) {
        (&self.memory, self.layout.data(slot))
    }
}

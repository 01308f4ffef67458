// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The driver's side of a split ring (virtio 1.3, section 2.7), as a driver in this process.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use vm_memory::{Bytes, VolatileSlice};

use crate::memory::{MemoryMap, RegionSpan};
use crate::ring::guest::{GuestRing, RingAddresses};
use crate::ring::shared::{Descriptor, NEXT, NO_INTERRUPT, NO_NOTIFY};

/// Where user addresses are, seen from guest addresses.
const USER: u64 = 0x5000_0000_0000;

/// Memory from the guest address `guest` on.
pub(crate) fn region(guest: u64, len: u64) -> RegionSpan {
    RegionSpan { guest, len, user: USER + guest, file_offset: 0 }
}

/// The descriptor of a buffer.
pub(crate) fn buffer(address: u64, len: u32, flags: u16) -> Descriptor {
    Descriptor { address, len, flags, next: 0 }
}

/// A descriptor as it is in memory.
pub(crate) fn bytes_of(descriptor: Descriptor) -> [u8; Descriptor::SIZE] {
    let Descriptor { address, len, flags, next } = descriptor;
    let word = u128::from(address)
        | u128::from(len) << 64
        | u128::from(flags) << 96
        | u128::from(next) << 112;
    word.to_le_bytes()
}

/// Where a ring of some size is, and how long its parts are; all in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) start: u64,
    pub(crate) size: u16,
}

impl Layout {
    fn descriptors_len(self) -> usize {
        Descriptor::SIZE * usize::from(self.size)
    }

    fn avail_len(self) -> usize {
        4 + 2 * usize::from(self.size) + 2
    }

    fn used_len(self) -> usize {
        4 + 8 * usize::from(self.size) + 2
    }

    pub(crate) fn avail(self) -> u64 {
        self.start + self.descriptors_len() as u64
    }

    pub(crate) fn used(self) -> u64 {
        (self.avail() + self.avail_len() as u64).next_multiple_of(4)
    }

    /// The device's side.
    pub(crate) fn device(self, memory: &Arc<MemoryMap>) -> Option<GuestRing> {
        let addresses = RingAddresses {
            descriptors: USER + self.start,
            avail: USER + self.avail(),
            used: USER + self.used(),
        };
        GuestRing::new(memory, addresses, self.size)
    }
}

/// The driver's side of a ring.
pub(crate) struct Driver<'m> {
    memory: &'m MemoryMap,
    size: u16,
    descriptors: VolatileSlice<'m>,
    avail: VolatileSlice<'m>,
    used: VolatileSlice<'m>,
    /// The next available index, which the device may not have been shown yet.
    next_avail: u16,
    /// The available index at the last decision about a kick.
    shown: u16,
    /// The index of the next used element to read.
    next_used: u16,
}

impl<'m> Driver<'m> {
    /// The driver of a ring that was never used.
    pub(crate) fn new(memory: &'m MemoryMap, layout: Layout) -> Self {
        Self {
            memory,
            size: layout.size,
            descriptors: memory.as_driver(layout.start, layout.descriptors_len()),
            avail: memory.as_driver(layout.avail(), layout.avail_len()),
            used: memory.as_driver(layout.used(), layout.used_len()),
            next_avail: 0,
            shown: 0,
            next_used: 0,
        }
    }

    /// Bytes of guest memory, all in one region.
    pub(crate) fn memory(&self, start: u64, len: usize) -> VolatileSlice<'m> {
        self.memory.as_driver(start, len)
    }

    pub(crate) fn write(&self, start: u64, bytes: &[u8]) {
        self.memory(start, bytes.len()).copy_from(bytes);
    }

    pub(crate) fn write_descriptor(&self, index: u16, descriptor: Descriptor) {
        let offset = Descriptor::SIZE * usize::from(index);
        self.descriptors.write_slice(&bytes_of(descriptor), offset).expect("a descriptor");
    }

    /// Writes a chain to the descriptors from `head` on, and links them.
    pub(crate) fn write_chain(&self, head: u16, chain: &[Descriptor]) {
        for (index, descriptor) in (head..).zip(linked(chain, head)) {
            self.write_descriptor(index, descriptor);
        }
    }

    /// Writes the indirect table of a chain, and links its entries.
    pub(crate) fn write_table(&self, start: u64, chain: &[Descriptor]) {
        let bytes: Vec<u8> = linked(chain, 0).flat_map(bytes_of).collect();
        self.write(start, &bytes);
    }

    /// Writes a head into the next available entry, without showing it to the device.
    pub(crate) fn offer(&mut self, head: u16) {
        let offset = 4 + 2 * usize::from(self.next_avail % self.size);
        self.avail.store(head.to_le(), offset, Ordering::Relaxed).expect("an entry");
        self.next_avail = self.next_avail.wrapping_add(1);
    }

    /// Shows the device all that is on offer.
    pub(crate) fn show(&mut self) {
        self.set_avail_idx(self.next_avail);
    }

    /// Shows the device this available index, whatever was offered.
    pub(crate) fn set_avail_idx(&self, index: u16) {
        self.avail.store(index.to_le(), 2, Ordering::Release).expect("avail.idx");
    }

    /// Whether the device wants a kick for what was shown since the last time (section 2.7.13).
    pub(crate) fn must_kick(&mut self, event_idx: bool) -> bool {
        let (old, new) = (self.shown, self.next_avail);
        self.shown = new;
        fence(Ordering::SeqCst);
        if event_idx {
            let event = self.word(&self.used, 4 + 8 * usize::from(self.size));
            new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
        } else {
            self.word(&self.used, 0) & NO_NOTIFY == 0
        }
    }

    /// Asks for a call at the next used element. Returns whether there is one already.
    pub(crate) fn enable_calls(&self, event_idx: bool) -> bool {
        let (offset, wish) = match event_idx {
            true => (4 + 2 * usize::from(self.size), self.next_used),
            false => (0, 0),
        };
        self.avail.store(wish.to_le(), offset, Ordering::Relaxed).expect("a wish");
        fence(Ordering::SeqCst);
        self.used_idx() != self.next_used
    }

    /// Asks for no calls. With EVENT_IDX that goes without saying.
    pub(crate) fn disable_calls(&self, event_idx: bool) {
        if !event_idx {
            self.avail.store(NO_INTERRUPT.to_le(), 0, Ordering::Relaxed).expect("avail.flags");
        }
    }

    pub(crate) fn used_idx(&self) -> u16 {
        u16::from_le(self.used.load(2, Ordering::Acquire).expect("used.idx"))
    }

    /// Sets the used index, as it is in a ring that another device served before.
    pub(crate) fn set_used_idx(&mut self, index: u16) {
        self.used.store(index.to_le(), 2, Ordering::Relaxed).expect("used.idx");
        self.next_used = index;
    }

    /// Begins with both indices at `index`, as if the ring had served for a while.
    pub(crate) fn begin_at(&mut self, index: u16) {
        self.set_used_idx(index);
        (self.next_avail, self.shown) = (index, index);
        self.set_avail_idx(index);
    }

    /// Takes the next used element, if there is one: the head, and how many bytes were written.
    pub(crate) fn take_used(&mut self) -> Option<(u32, u32)> {
        if self.next_used == self.used_idx() {
            return None;
        }
        let offset = 4 + 8 * usize::from(self.next_used % self.size);
        let field = |offset| {
            u32::from_le(self.used.load(offset, Ordering::Relaxed).expect("a used element"))
        };
        let element = (field(offset), field(offset + 4));
        self.next_used = self.next_used.wrapping_add(1);
        Some(element)
    }

    /// Takes all used elements that there are.
    pub(crate) fn take_all_used(&mut self) -> Vec<(u32, u32)> {
        std::iter::from_fn(|| self.take_used()).collect()
    }

    fn word(&self, part: &VolatileSlice<'_>, offset: usize) -> u16 {
        u16::from_le(part.load(offset, Ordering::Relaxed).expect("a word of the ring"))
    }
}

/// The chain with NEXT on all but the last, each pointing to the one after it.
fn linked(chain: &[Descriptor], head: u16) -> impl Iterator<Item = Descriptor> + '_ {
    let last = chain.len() - 1;
    chain.iter().zip(head..).enumerate().map(move |(at, (descriptor, index))| match at == last {
        true => *descriptor,
        false => Descriptor { flags: descriptor.flags | NEXT, next: index + 1, ..*descriptor },
    })
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The fields of a virtqueue one by one, to be read, and to be written as it pleases a test.

use super::{Queue, Used};
use crate::deadline::Deadline;
use crate::driver::rings::{Descriptor, NEXT, NO_INTERRUPT, Segment, linked};
use crate::eventfd::EventFd;
use crate::memory::Buffer;

/// Field by field.
impl Queue {
    /// Takes `count` free descriptors, for chains that are written by hand.
    #[track_caller]
    pub fn take_slots(&mut self, count: usize) -> Vec<u16> {
        let free = self.free.len();
        assert!(count > 0 && count <= free, "{count} descriptors of {free} free ones");
        let mut slots = self.free.split_off(free - count);
        slots.reverse();
        slots
    }

    /// Writes the descriptor in `slot`.
    pub fn describe(&self, slot: u16, descriptor: Descriptor) {
        let at = self.rings().descriptors + u64::from(slot) * Descriptor::SIZE;
        self.memory.write(at, &descriptor.bytes());
    }

    /// Writes a chain of `segments` into `slots`, the last with [`NEXT`] and `next`, too, if there
    /// is one: it may lead anywhere.
    pub fn chain(&self, slots: &[u16], segments: &[Segment], next: Option<u16>) {
        for (slot, descriptor) in slots.iter().zip(linked(segments, slots)) {
            self.describe(*slot, descriptor);
        }
        if let (Some(next), Some(slot), Some(segment)) = (next, slots.last(), segments.last()) {
            let last = segment.last();
            self.describe(*slot, Descriptor { flags: last.flags | NEXT, next, ..last });
        }
    }

    /// A table of descriptors for an indirect one.
    pub fn table(&self, descriptors: &[Descriptor]) -> Buffer {
        let bytes: Vec<u8> = descriptors.iter().flat_map(|entry| entry.bytes()).collect();
        let table = self.memory.buffer(bytes.len());
        table.write(&bytes);
        table
    }

    /// Makes the chain that begins at `head` available, whatever it is, and kicks.
    pub fn offer(&mut self, head: u16) {
        self.add_head(head);
        self.publish();
        self.published = self.next_available;
        self.kick();
    }

    /// Puts `head` in the available ring, without telling the device about it.
    pub fn add_head(&mut self, head: u16) {
        let at = self.rings().available + 4 + 2 * u64::from(self.next_available % self.size);
        self.memory.store(at, head);
        self.next_available = self.next_available.wrapping_add(1);
    }

    /// Writes the index of the available ring.
    pub fn set_available_index(&self, index: u16) {
        self.memory.store(self.rings().available + 2, index);
    }

    /// The index that the available ring has after the last chain that was put in it.
    pub fn available_index(&self) -> u16 {
        self.next_available
    }

    /// Whether the driver asks not to be called; counts without EVENT_IDX.
    pub fn set_no_interrupt(&self, flag: bool) {
        self.memory.store(self.rings().available, if flag { NO_INTERRUPT } else { 0 });
    }

    /// Asks to be called when the used ring's index passes `index`; counts with EVENT_IDX.
    pub fn set_used_event(&self, index: u16) {
        self.memory.store(self.rings().available + 4 + 2 * u64::from(self.size), index);
    }

    /// The flags of the used ring.
    pub fn used_flags(&self) -> u16 {
        self.memory.load(self.rings().used)
    }

    /// The index of the used ring.
    pub fn used_index(&self) -> u16 {
        self.memory.load(self.rings().used + 2)
    }

    /// Writes the index of the used ring, which is the device's to write.
    pub fn set_used_index(&self, index: u16) {
        self.memory.store(self.rings().used + 2, index);
    }

    /// The index at which the device asks to be kicked; counts with EVENT_IDX.
    pub fn available_event(&self) -> u16 {
        self.memory.load(self.rings().used + 4 + 8 * u64::from(self.size))
    }

    /// The entry of the used ring for the chain that was given back with `index`.
    pub fn used_element(&self, index: u16) -> Used {
        let at = self.rings().used + 4 + 8 * u64::from(index % self.size);
        let bytes = self.memory.read(at, 8);
        let (fields, _) = bytes.as_chunks();
        let [head, len] = [0, 1].map(|i| u32::from_le_bytes(fields[i]));
        let head = u16::try_from(head).expect("a head in the used ring");
        Used { head, len }
    }

    /// Writes the entry of the used ring with `index`, which is the device's to write.
    pub fn set_used_element(&self, index: u16, used: Used) {
        let at = self.rings().used + 4 + 8 * u64::from(index % self.size);
        let fields = [u32::from(used.head), used.len];
        let bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
        self.memory.write(at, &bytes);
    }
}

/// Notification.
impl Queue {
    /// The kick descriptor.
    pub fn kick_fd(&self) -> &EventFd {
        &self.kick
    }

    /// The call descriptor.
    pub fn call_fd(&self) -> &EventFd {
        &self.call
    }

    /// The err descriptor.
    pub fn err_fd(&self) -> &EventFd {
        &self.err
    }

    /// Takes another kick descriptor into use; the old one is returned.
    pub fn replace_kick(&mut self) -> EventFd {
        std::mem::take(&mut self.kick)
    }

    /// Takes another call descriptor into use; the old one is returned.
    pub fn replace_call(&mut self) -> EventFd {
        std::mem::take(&mut self.call)
    }

    /// Waits for the device to say that the queue is broken.
    #[track_caller]
    pub fn expect_broken(&self) {
        assert!(self.err.wait(Deadline::new()) > 0, "no word on the err descriptor");
    }
}

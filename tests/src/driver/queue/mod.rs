// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A virtqueue, as its driver has it.

mod fields;

use std::collections::HashMap;
use std::sync::atomic::{Ordering, fence};

use super::rings::{Descriptor, INDIRECT, NO_NOTIFY, Rings, Segment, lengths, linked};
use crate::deadline::{Deadline, until};
use crate::eventfd::EventFd;
use crate::memory::{Buffer, GuestMemory};

/// A chain that the device gave back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Its first descriptor.
    pub head: u16,
    /// How many bytes the device says that it wrote.
    pub len: u32,
}

/// A split virtqueue with its notification descriptors.
#[derive(Debug)]
pub struct Queue {
    memory: GuestMemory,
    size: u16,
    event_idx: bool,
    /// Descriptor table, available ring, used ring.
    parts: [Buffer; 3],
    free: Vec<u16>,
    /// What each chain in flight has taken, by its head.
    in_flight: HashMap<u16, Chain>,
    /// The index of the next chain to be made available; the ring has what was published.
    next_available: u16,
    /// Where the device was told that the available ring ends.
    published: u16,
    /// The index of the next chain that the device will give back.
    next_used: u16,
    kick: EventFd,
    call: EventFd,
    err: EventFd,
}

#[derive(Debug)]
struct Chain {
    slots: Vec<u16>,
    _table: Option<Buffer>,
}

impl Queue {
    /// An empty queue of `size` descriptors, somewhere in `memory`.
    pub fn new(memory: &GuestMemory, size: u16, event_idx: bool) -> Self {
        let parts = lengths(size).map(|len| memory.buffer(len));
        Self::in_parts(memory, size, event_idx, parts)
    }

    /// An empty queue whose descriptor table, available ring and used ring are in `parts`.
    pub fn in_parts(memory: &GuestMemory, size: u16, event_idx: bool, parts: [Buffer; 3]) -> Self {
        for (part, len) in parts.iter().zip(lengths(size)) {
            part.write(&vec![0; len]);
        }
        Self {
            memory: memory.clone(),
            size,
            event_idx,
            parts,
            free: (0..size).rev().collect(),
            in_flight: HashMap::new(),
            next_available: 0,
            published: 0,
            next_used: 0,
            kick: EventFd::new(),
            call: EventFd::new(),
            err: EventFd::new(),
        }
    }

    /// How many descriptors it has.
    pub fn size(&self) -> u16 {
        self.size
    }

    /// The memory that it is in.
    pub fn memory(&self) -> &GuestMemory {
        &self.memory
    }

    /// Where its parts are.
    pub fn rings(&self) -> Rings {
        let [descriptors, available, used] = [0, 1, 2].map(|part| self.parts[part].address());
        Rings { descriptors, available, used }
    }

    /// The index of the next chain that the device will give back.
    pub fn next_unused(&self) -> u16 {
        self.next_used
    }

    /// Takes the last descriptors first, so that heads are made available in another order than
    /// that of their numbers.
    pub fn from_the_end(mut self) -> Self {
        self.free.reverse();
        self
    }

    /// Starts the indices at `index`, as those of a queue that has served for a while.
    ///
    /// # Panics
    /// If it is in use.
    pub fn starting_at(mut self, index: u16) -> Self {
        assert_eq!(self.next_available, 0, "chains were made available already");
        (self.next_available, self.published, self.next_used) = (index, index, index);
        self.memory.store(self.rings().available + 2, index);
        self.memory.store(self.rings().used + 2, index);
        self.memory.store(self.rings().used + 4 + 8 * u64::from(self.size), index);
        self
    }
}

/// What a good driver does.
impl Queue {
    /// Makes a chain of `segments` available, and kicks the device if it wants that.
    pub fn submit(&mut self, segments: &[Segment]) -> u16 {
        let head = self.add(segments);
        self.publish();
        self.kick_if_wanted();
        head
    }

    /// Puts a chain of `segments` in the available ring, without telling the device about it.
    pub fn add(&mut self, segments: &[Segment]) -> u16 {
        let slots = self.take_slots(segments.len());
        for (slot, descriptor) in slots.iter().zip(linked(segments, &slots)) {
            self.describe(*slot, descriptor);
        }
        self.add_chain(slots, None)
    }

    /// [`Queue::add`] by way of a table of its own: takes one descriptor.
    pub fn add_indirect(&mut self, segments: &[Segment]) -> u16 {
        let order: Vec<u16> = (0..).take(segments.len()).collect();
        let table = self.table(&linked(segments, &order));
        let slots = self.take_slots(1);
        let len = u32::try_from(table.len()).expect("the length of a table");
        let descriptor = Descriptor { address: table.address(), len, flags: INDIRECT, next: 0 };
        self.describe(slots[0], descriptor);
        self.add_chain(slots, Some(table))
    }

    fn add_chain(&mut self, slots: Vec<u16>, table: Option<Buffer>) -> u16 {
        let head = slots[0];
        self.in_flight.insert(head, Chain { slots, _table: table });
        self.add_head(head);
        head
    }

    /// Tells the device about all chains in the available ring.
    pub fn publish(&mut self) {
        self.set_available_index(self.next_available);
    }

    /// Kicks the device if what was published since the last time is what it wants a kick for.
    pub fn kick_if_wanted(&mut self) {
        let old = std::mem::replace(&mut self.published, self.next_available);
        // The device writes its wish and then looks at the index; we wrote the index before this.
        fence(Ordering::SeqCst);
        let wanted = if self.event_idx {
            let new = self.next_available;
            new.wrapping_sub(self.available_event()).wrapping_sub(1) < new.wrapping_sub(old)
        } else {
            self.used_flags() & NO_NOTIFY == 0
        };
        if wanted {
            self.kick();
        }
    }

    /// Kicks the device.
    pub fn kick(&self) {
        self.kick.signal();
    }

    /// Waits until the device has taken all that was made available, and wants to be kicked for more.
    ///
    /// # Panics
    /// When it does not, or without EVENT_IDX: there is no telling then.
    #[track_caller]
    pub fn wait_until_taken(&self) {
        assert!(self.event_idx, "a device that says which chain it wants to be kicked for");
        until("the device to take what is available", || {
            (self.available_event() == self.next_available).then_some(())
        });
    }

    /// The next chain that the device gave back, if it did; its descriptors are free again.
    pub fn used(&mut self) -> Option<Used> {
        if self.used_index() == self.next_used {
            return None;
        }
        let used = self.used_element(self.next_used);
        self.next_used = self.next_used.wrapping_add(1);
        if let Some(chain) = self.in_flight.remove(&used.head) {
            self.free.extend(chain.slots.iter().rev());
        }
        Some(used)
    }

    /// The next chain that the device gives back; waits for the call that says so.
    ///
    /// # Panics
    /// When no call comes.
    #[track_caller]
    pub fn wait(&mut self) -> Used {
        let deadline = Deadline::new();
        loop {
            if self.event_idx {
                self.set_used_event(self.next_used);
            }
            // We write our wish and then look at the index; the device does the reverse.
            fence(Ordering::SeqCst);
            if let Some(used) = self.used() {
                return used;
            }
            let calls = self.call.wait(deadline);
            assert!(calls > 0, "no call for the chain {} of the queue", self.next_used);
        }
    }

    /// The next chain that the device gives back, without any wish for a call.
    #[track_caller]
    pub fn watch(&mut self) -> Used {
        until("the device to give a chain back", || self.used())
    }
}

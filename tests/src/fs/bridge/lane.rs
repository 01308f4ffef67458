// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! One virtqueue, and the memory of the requests that are read for it.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::driver::{Queue, Segment};
use crate::fs::wire::{Header, IN_HEADER, OUT_HEADER};
use crate::memory::{BASE, Buffer, GuestMemory, RegionAt};

/// How many requests a queue has in flight at most.
pub(super) const SLOTS: u64 = 256;

/// The longest READ and WRITE, in bytes.
pub(super) const MAX_WRITE: usize = 1 << 20;
/// The same in pages.
pub(super) const MAX_PAGES: u16 = 256;

/// The length of the header of WRITE with what is in front of the bytes.
const BEFORE_WRITE: usize = IN_HEADER + 40;
const PAGE: u64 = 4096;
/// How far the memory of one slot is from that of the next.
const STRIDE: u64 = 2 * (PAGE + MAX_WRITE as u64 + PAGE);
/// Descriptors: header and body of the request, header and body of the reply.
const DESCRIPTORS: u16 = 4 * 256;
/// What a queue's rings take at most, in bytes.
const RINGS: u64 = 64 << 10;

/// Where the slots are; the rings are in lower memory.
const SLOTS_AT: u64 = 1 << 32;

/// The memory of `requests` request queues and the high-priority one.
pub(super) fn memory(requests: u8) -> GuestMemory {
    let count = u64::from(requests);
    let rings = RegionAt::new(BASE, (count + 1) * RINGS);
    GuestMemory::of_regions(&[rings, RegionAt::new(SLOTS_AT, count * SLOTS * STRIDE)])
}

/// Room for a request and its reply.
#[derive(Debug)]
pub(super) struct Slot {
    /// The lane where it belongs.
    pub(super) home: usize,
    pub(super) request: Buffer,
    pub(super) reply: Buffer,
}

impl Slot {
    /// The memory begins so that the bytes of READ and WRITE begin where a page does, as those of a
    /// guest.
    fn new(memory: &GuestMemory, start: u64, home: usize) -> Self {
        let length = |len: usize| u64::try_from(len).expect("a length in 64 bits");
        let request = start + PAGE - length(BEFORE_WRITE);
        let reply = start + STRIDE / 2 + PAGE - length(OUT_HEADER);
        Self {
            home,
            request: memory.buffer_at(request, BEFORE_WRITE + MAX_WRITE),
            reply: memory.buffer_at(reply, OUT_HEADER + MAX_WRITE),
        }
    }

    /// The header of the request.
    pub(super) fn header(&self, memory: &GuestMemory) -> Header {
        Header::of(&memory.read(self.request.address(), IN_HEADER))
    }
}

/// A request that came back.
#[derive(Debug)]
pub(super) struct Returned {
    pub(super) slot: Slot,
    /// What it was.
    pub(super) header: Header,
    /// Whether there is to be a reply.
    pub(super) answered: bool,
    /// How many bytes the device says that it wrote.
    pub(super) len: usize,
}

/// A queue that two threads use.
#[derive(Debug)]
pub(super) struct Lane {
    state: Mutex<State>,
    freed: Condvar,
    /// The queue's call descriptor.
    pub(super) call: File,
    count: AtomicU64,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    free: Vec<Slot>,
    in_flight: HashMap<u16, (Slot, Header, bool)>,
    stopped: bool,
}

impl Lane {
    /// The lane of the queue `index`; the high-priority one has no slots of its own.
    pub(super) fn new(memory: &GuestMemory, index: u8) -> Self {
        let (queue, home) = (Queue::new(memory, DESCRIPTORS, true), usize::from(index));
        let slots = u64::from(index).saturating_sub(1) * SLOTS..u64::from(index) * SLOTS;
        let slot = |slot| Slot::new(memory, SLOTS_AT + slot * STRIDE, home);
        let free = slots.rev().map(slot).collect();
        let call = queue.call_fd().as_fd().try_clone_to_owned().expect("one more descriptor");
        let state = State { queue, free, in_flight: HashMap::new(), stopped: false };
        Self {
            state: Mutex::new(state),
            freed: Condvar::new(),
            call: call.into(),
            count: AtomicU64::new(0),
        }
    }

    /// Does something with the queue.
    pub(super) fn with_queue<T>(&self, use_it: impl FnOnce(&Queue) -> T) -> T {
        use_it(&self.state().queue)
    }

    /// A free slot, when there is one; `None` when all has ended.
    pub(super) fn take(&self) -> Option<Slot> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(slot) = state.free.pop() {
                return Some(slot);
            }
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes back a slot of its own.
    pub(super) fn give_back(&self, slot: Slot) {
        self.state().free.push(slot);
        self.freed.notify_one();
    }

    /// Sends the request of `len` bytes in the slot, with room for `room` bytes of a reply.
    pub(super) fn send(&self, slot: Slot, header: Header, len: usize, room: usize) {
        let parts =
            [(IN_HEADER, len - IN_HEADER), (OUT_HEADER.min(room), room.saturating_sub(OUT_HEADER))];
        let mut segments = Vec::with_capacity(4);
        let mut add = |address: u64, len: usize, segment: fn(u64, usize) -> Segment| {
            if len > 0 {
                segments.push(segment(address, len));
            }
        };
        let [(first, rest), (head, body)] = parts;
        let length = |len: usize| u64::try_from(len).expect("a length in 64 bits");
        let (from, to) = (slot.request.address(), slot.reply.address());
        add(from, first, Segment::readable);
        add(from + length(first), rest, Segment::readable);
        add(to, head, Segment::writable);
        add(to + length(head), body, Segment::writable);
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        let head = state.queue.add(&segments);
        state.in_flight.insert(head, (slot, header, room > 0));
        state.queue.publish();
        state.queue.kick_if_wanted();
    }

    /// All requests that came back; with none, a call will tell of the next.
    pub(super) fn returned(&self) -> Vec<Returned> {
        let mut state = self.state();
        let mut all = Vec::new();
        loop {
            while let Some(used) = state.queue.used() {
                let known = state.in_flight.remove(&used.head);
                let Some((slot, header, answered)) = known else {
                    panic!("the device gave back a chain that was not in flight: {used:?}");
                };
                let len = usize::try_from(used.len).expect("a length of our own");
                all.push(Returned { slot, header, answered, len });
            }
            if !all.is_empty() {
                return all;
            }
            state.queue.set_used_event(state.queue.next_unused());
            // We write our wish and then look at the index; the device does the reverse.
            fence(Ordering::SeqCst);
            if state.queue.used_index() == state.queue.next_unused() {
                return all;
            }
        }
    }

    /// Wakes whoever waits for a slot: there will be none.
    pub(super) fn stop(&self) {
        self.state().stopped = true;
        self.freed.notify_all();
    }

    /// How many requests it was given.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

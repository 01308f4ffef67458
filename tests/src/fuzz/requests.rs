// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Requests to the block device, right and wrong, as chains of descriptors.

use super::land::{BUFFER, Land, QUEUES, SLOTS, Slot};
use super::script::Step;
use super::twist::edge;
use crate::driver::{Descriptor, INDIRECT, NEXT, WRITE};
use crate::eventfd::EventFd;

/// How many ways there are for a chain to be wrong, being right included.
pub(super) const TWISTS: u32 = 20;

/// What is in a status before the daemon writes it.
const UNTOUCHED: u8 = 0xff;

/// The types that there are, and some that are not: IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES,
/// GET_LIFETIME, SECURE_ERASE.
const TYPES: [u32; 16] = [0, 1, 0, 1, 0, 1, 4, 8, 11, 13, 11, 13, 10, 14, 2, 0xffff];

/// A queue, as its driver believes it to be.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) index: u8,
    pub(super) place: u32,
    pub(super) size: u16,
    pub(super) kick: EventFd,
    pub(super) call: EventFd,
    pub(super) err: EventFd,
    next_available: u16,
    next_descriptor: u16,
    next_slot: u64,
}

impl Ring {
    pub(super) fn new(index: u8) -> Self {
        Self {
            index: index % QUEUES,
            place: 0,
            size: 64,
            kick: EventFd::new(),
            call: EventFd::new(),
            err: EventFd::new(),
            next_available: 0,
            next_descriptor: 0,
            next_slot: u64::from(index) * 16,
        }
    }

    /// Begins anew, with the available ring at `index`.
    pub(super) fn begin(&mut self, size: u16, place: u32, index: u16) {
        (self.size, self.place) = (size.max(1), place);
        (self.next_available, self.next_descriptor) = (index, 0);
    }

    fn rings(&self) -> super::land::Rings {
        Land::rings(self.index, self.place)
    }

    /// Empties the rings, with both indices where the driver is.
    pub(super) fn clear(&self, land: &Land) {
        let rings = self.rings();
        land.write(rings.available, &[0; 4]);
        land.write(rings.used, &[0; 4]);
        self.set_index(land, self.next_available);
        land.write(rings.used + 2, &self.next_available.to_le_bytes());
    }

    fn set_index(&self, land: &Land, index: u16) {
        land.write(self.rings().available + 2, &index.to_le_bytes());
    }

    /// The index of the used ring.
    pub(super) fn used(&self, land: &Land) -> u16 {
        land.short(self.rings().used + 2)
    }

    /// Whether one more request finds a place, if the daemon has given back what it could. Nobody
    /// knows when the used ring makes no sense.
    pub(super) fn has_room(&self, land: &Land) -> bool {
        let in_flight = self.next_available.wrapping_sub(self.used(land));
        in_flight > self.size || in_flight < (self.size / 8).max(1)
    }

    /// Makes one request of `step` available; where it is.
    pub(super) fn request(&mut self, land: &Land, step: &Step) -> u64 {
        let place = self.next_slot % SLOTS;
        let slot = Land::slot(place);
        let request = Shape::of(step);
        request.write_header(land, slot);
        let chain = request.chain(slot);
        let head = self.next_descriptor % self.size;
        if step.b >> 16 & 3 == 1 {
            // In a table of its own; its descriptors are numbered from 0.
            let entries = linked(&chain, 0, u16::MAX, step.twist);
            land.write(slot.table, &entries);
            let len = u32::try_from(entries.len()).unwrap_or_default();
            let table = Descriptor { address: slot.table, len, flags: INDIRECT, next: 0 };
            self.describe(land, head, twisted_table(table, step.twist));
            self.next_descriptor = self.next_descriptor.wrapping_add(1);
        } else {
            let count = u16::try_from(chain.len()).unwrap_or_default();
            let entries = linked(&chain, head, self.size, step.twist);
            for (at, entry) in (0..).zip(entries.chunks(16)) {
                let slot = head.wrapping_add(at) % self.size;
                land.write(self.rings().descriptors + u64::from(slot) * 16, entry);
            }
            self.next_descriptor = self.next_descriptor.wrapping_add(count);
        }
        self.offer(land, head);
        // Many requests may have one place: what is rewritten there is read by all of them.
        self.next_slot += u64::from(step.b >> 20 & 1 == 0);
        place
    }

    /// Writes the descriptor `at`, whatever it is.
    pub(super) fn describe(&self, land: &Land, at: u16, descriptor: Descriptor) {
        land.write(self.rings().descriptors + u64::from(at) * 16, &descriptor.bytes());
    }

    /// Makes the chain at `head` available.
    pub(super) fn offer(&mut self, land: &Land, head: u16) {
        let at = u64::from(self.next_available % self.size);
        land.write(self.rings().available + 4 + 2 * at, &head.to_le_bytes());
        self.next_available = self.next_available.wrapping_add(1);
        self.set_index(land, self.next_available);
    }

    /// Writes `value` to a field of the rings: flags, index, an entry, the event index.
    pub(super) fn field(&mut self, land: &Land, which: u32, value: u16) {
        let (rings, size) = (self.rings(), u64::from(self.size));
        let entry = u64::from(which >> 8) % size;
        let at = match which % 8 {
            0 => rings.available,
            1 => rings.available + 2,
            2 => rings.available + 4 + 2 * entry,
            3 => rings.available + 4 + 2 * size,
            4 => rings.used,
            5 => rings.used + 2,
            6 => rings.used + 4 + 8 * entry,
            _ => rings.used + 4 + 8 * size,
        };
        land.write(at, &value.to_le_bytes());
    }

    /// Kicks, unless whoever else has the descriptor has filled it.
    pub(super) fn kick(&self) {
        self.kick.signal();
    }
}

/// What a request is, as far as it can be said without an address.
#[derive(Clone, Copy, Debug)]
struct Shape {
    kind: u32,
    sector: u64,
    /// The length of its data, in bytes.
    len: u32,
    /// How it is cut into descriptors.
    cuts: u32,
    twist: u32,
}

impl Shape {
    fn of(step: &Step) -> Self {
        let [kind, len, _, cuts] = step.b.to_le_bytes();
        let far = step.c >> 56 == 0xff;
        let len = match len {
            0..128 => 512 * (1 + u32::from(len) % 16),
            128..192 => 4096 * (1 + u32::from(len) % 8),
            _ => u32::from(len),
        };
        Self {
            kind: TYPES[usize::from(kind) % TYPES.len()],
            sector: if far { edge(u32::from(kind)) } else { step.c % 2100 },
            len,
            cuts: u32::from(cuts),
            twist: step.twist,
        }
    }

    /// The header, and the segments of DISCARD and WRITE_ZEROES behind it.
    fn write_header(self, land: &Land, slot: Slot) {
        let mut header = self.kind.to_le_bytes().to_vec();
        header.extend([0; 4]);
        header.extend(self.sector.to_le_bytes());
        for segment in 0..4 {
            header.extend(self.sector.wrapping_add(segment * 8).to_le_bytes());
            header.extend((self.len / 512).to_le_bytes());
            header.extend((self.cuts & 1).to_le_bytes());
        }
        land.write(slot.header, &header);
        land.write(slot.status, &[UNTOUCHED]);
    }

    /// The pieces of memory that it is made of: address, length, whether it is device-writable.
    fn chain(self, slot: Slot) -> Vec<(u64, u32, bool)> {
        let mut chain = vec![(slot.header, 16, false)];
        let len = self.len.min(u32::try_from(BUFFER).unwrap_or(u32::MAX) * 4);
        match self.kind {
            11 | 13 => chain.push((slot.header + 16, 16 * (1 + self.cuts % 4), false)),
            4 => (),
            8 => chain.push((slot.buffer, 20, true)),
            kind => {
                let pieces = 1 + u64::from(self.cuts % 5);
                let each = len / u32::try_from(pieces).unwrap_or(1);
                for piece in 0..pieces {
                    let last = if piece + 1 == pieces { len % each.max(1) } else { 0 };
                    let at = slot.buffer + piece * u64::from(each);
                    chain.push((at, each + last, kind & 1 == 0));
                }
            }
        }
        chain.push((slot.status, 1, true));
        if self.cuts >= 0x80 {
            // The header in two pieces.
            chain[0] = (slot.header, 7, false);
            chain.insert(1, (slot.header + 7, 9, false));
        }
        twist_chain(&mut chain, self.twist);
        chain
    }
}

/// Forgets how the requests in their places ended.
pub(super) fn forget(land: &Land) {
    (0..SLOTS).for_each(|slot| land.write(Land::slot(slot).status, &[UNTOUCHED]));
}

/// Of the requests in their places, how many ended well, and how many otherwise.
pub(super) fn ended(land: &Land) -> [u64; 2] {
    let statuses = (0..SLOTS).map(|slot| land.byte(Land::slot(slot).status));
    statuses.fold([0, 0], |[well, ill], status| match status {
        UNTOUCHED => [well, ill],
        0 => [well + 1, ill],
        _ => [well, ill + 1],
    })
}

/// Has something be wrong about the pieces of a chain.
fn twist_chain(chain: &mut Vec<(u64, u32, bool)>, twist: u32) {
    let (kind, more) = (twist % 256 % TWISTS, twist >> 8);
    let at = usize::try_from(more).unwrap_or_default() % chain.len();
    match kind {
        1 => chain[at].0 = edge(more >> 4),
        2 => chain[at].1 = u32::try_from(edge(more >> 4) & 0xffff_ffff).unwrap_or_default(),
        3 => chain[at].2 ^= true,
        4 => drop(chain.remove(at)),
        5 => chain.reverse(),
        6 => chain.extend(chain.clone()),
        7 => chain[at].0 = chain[0].0,
        8 => chain[at].1 = 0,
        9 => chain.truncate(1),
        10 => {
            let piece = chain[at];
            chain.splice(at..=at, std::iter::repeat_n((piece.0, 1, piece.2), 40));
        }
        11 => chain[at].0 = chain[at].0.wrapping_add(edge(more >> 4)),
        _ => (),
    }
}

/// The descriptors of a chain in the slots from `first` on, of a table of `size`.
fn linked(chain: &[(u64, u32, bool)], first: u16, size: u16, twist: u32) -> Vec<u8> {
    let (kind, [_, low, high, _]) = (twist % 256 % TWISTS, twist.to_le_bytes());
    let last = chain.len().saturating_sub(1);
    let mut bytes = Vec::new();
    for (at, (address, len, writable)) in (0u16..).zip(chain.iter()) {
        let mut flags = if *writable { WRITE } else { 0 };
        let mut next = first.wrapping_add(at + 1) % size.max(1);
        if usize::from(at) < last {
            flags |= NEXT;
        }
        match kind {
            // A loop, a next one that is anywhere, any flags, a table within a table.
            12 if usize::from(at) == last => (flags, next) = (flags | NEXT, first),
            13 if at == 1 => (flags, next) = (flags | NEXT, u16::from_le_bytes([low, high])),
            14 if at == 1 => flags = u16::from_le_bytes([low, high]),
            15 if at == 1 => flags |= INDIRECT,
            _ => (),
        }
        bytes.extend(Descriptor { address: *address, len: *len, flags, next }.bytes());
    }
    bytes
}

fn twisted_table(table: Descriptor, twist: u32) -> Descriptor {
    let more = twist >> 8;
    match twist % 256 % TWISTS {
        16 => {
            Descriptor { len: u32::try_from(edge(more) & 0xffff_ffff).unwrap_or_default(), ..table }
        }
        17 => Descriptor { address: edge(more), ..table },
        18 => Descriptor { flags: INDIRECT | NEXT | WRITE, ..table },
        19 => Descriptor { len: table.len + more % 32, ..table },
        _ => table,
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The memory of a hostile guest: where its rings, requests and buffers are.
//!
//! Two regions are solid: this process has them mapped, and their files keep their length. The others
//! are soft: their files shrink and get holes while the daemon uses them, so that here they are only
//! ever written by system calls.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use vhost::vhost_user::message::VhostUserMemoryRegion;

use super::rewriter::Range;
use crate::sys::{self, Mapping};

/// The length of a region, in bytes, or a little more than that.
pub(super) const LEN: u64 = 1 << 20;

/// How many regions there are.
pub(super) const REGIONS: usize = 4;

/// How many queues are ever started.
pub(super) const QUEUES: u8 = 4;

/// The length of a queue's rings, one after the other, and where its parts are within.
const RINGS: u64 = 0x8000;
const AVAILABLE: u64 = 0x4000;
const USED: u64 = 0x5000;

/// How many requests have a place of their own.
pub(super) const SLOTS: u64 = 32;

/// Where in the first region the headers, tables and buffers of the requests begin.
const HEADERS: u64 = 0x2_0000;
const TABLES: u64 = 0x3_0000;
const BUFFERS: u64 = 0x4_0000;

/// The length of a header with its segments and status, of a table, and of a buffer.
const HEADER: u64 = 0x100;
const TABLE: u64 = 0x400;
pub(super) const BUFFER: u64 = 0x2000;

/// Where a region is.
#[derive(Clone, Copy, Debug)]
struct Place {
    guest: u64,
    user: u64,
    /// Where it begins in its file.
    offset: u64,
    len: u64,
}

const PLACES: [Place; REGIONS] = [
    Place { guest: 0x10_0000, user: 0x7f00_0010_0000, offset: 0, len: LEN },
    // Touches the first one, for the guest and not for the user; ends within a page.
    Place { guest: 0x20_0000, user: 0x7e00_0000_0000, offset: 0x1000, len: LEN - 0x200 },
    Place { guest: 0x1_0000_0000, user: 0x7f00_4000_0000, offset: 0, len: LEN },
    // Touches the second one; begins within a page.
    Place { guest: 0x2f_fe00, user: 0x7d00_0000_0e00, offset: 0x2e00, len: LEN },
];

impl Place {
    fn has(self, guest: u64) -> bool {
        guest.wrapping_sub(self.guest) < self.len
    }
}

/// A region.
pub(super) struct Region {
    pub(super) described: VhostUserMemoryRegion,
    pub(super) file: File,
    mapping: Option<Arc<Mapping>>,
}

/// All the memory.
pub(super) struct Land {
    pub(super) regions: Vec<Region>,
    /// The daemon was only ever told of the regions as they are.
    pub(super) honest: bool,
}

/// The three parts of a queue's rings: guest addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rings {
    pub(super) descriptors: u64,
    pub(super) available: u64,
    pub(super) used: u64,
}

/// Where a request has its parts: guest addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) header: u64,
    pub(super) status: u64,
    pub(super) table: u64,
    pub(super) buffer: u64,
}

impl Land {
    pub(super) fn new() -> io::Result<Self> {
        let regions = PLACES.iter().enumerate().map(|(at, place)| {
            let Place { guest, user, offset, len } = *place;
            let file = sys::memfd(c"guest-memory", 2 * LEN)?;
            let solid = at < 2;
            let mapping = solid.then(|| Mapping::new(&file, offset, index(len))).transpose()?;
            let described = VhostUserMemoryRegion::new(guest, len, user, offset);
            Ok(Region { described, file, mapping: mapping.map(Arc::new) })
        });
        Ok(Self { regions: regions.collect::<io::Result<_>>()?, honest: true })
    }

    /// The rings of the queue `index`: in the first region, or in a soft one, or where three of its
    /// parts are in three regions, by `place`.
    pub(super) fn rings(index: u8, place: u32) -> Rings {
        let within = u64::from(index % QUEUES) * RINGS;
        let base = |region: usize| PLACES[region].guest + within;
        let [descriptors, available, used] = match place % 8 {
            6 => [2, 2, 2].map(base),
            7 => [0, 2, 3].map(base),
            _ => [0, 0, 0].map(base),
        };
        Rings { descriptors, available: available + AVAILABLE, used: used + USED }
    }

    /// The place of a request.
    pub(super) fn slot(index: u64) -> Slot {
        let (index, base) = (index % SLOTS, PLACES[0].guest);
        let header = base + HEADERS + index * HEADER;
        Slot {
            header,
            status: header + HEADER - 1,
            table: base + TABLES + index * TABLE,
            // Some of them are in other regions, or reach from one to the next.
            buffer: match index % 8 {
                5 => PLACES[1].guest - BUFFER / 2,
                6 => PLACES[2].guest + BUFFERS + index * BUFFER,
                7 => PLACES[3].guest - BUFFER / 4,
                _ => base + BUFFERS + index * BUFFER,
            },
        }
    }

    /// What a ring address is told as.
    pub(super) fn user(guest: u64) -> u64 {
        let place = PLACES.iter().find(|place| place.has(guest));
        place.map_or(guest, |place| place.user + (guest - place.guest))
    }

    /// Puts `bytes` at a guest address, as far as there is memory.
    pub(super) fn write(&self, guest: u64, bytes: &[u8]) {
        let last = guest.wrapping_add(bytes.len() as u64).wrapping_sub(1);
        let mut regions = self.regions.iter().zip(PLACES);
        let region = regions.find(|(_, place)| place.has(guest) && place.has(last));
        let Some((region, place)) = region else { return };
        let at = guest - place.guest;
        match &region.mapping {
            Some(mapping) => mapping.write(index(at), bytes),
            // It may be full, or short just now; what is lost there is lost to the guest.
            None => drop(region.file.write_all_at(bytes, place.offset + at)),
        }
    }

    /// Whether some byte of a file was written that is in no region, although the daemon was told
    /// nothing but the truth.
    pub(super) fn is_written_outside(&self) -> io::Result<bool> {
        if !self.honest {
            return Ok(false);
        }
        let mut written = false;
        for (region, Place { offset, len: own, .. }) in self.regions.iter().zip(PLACES) {
            let len = region.file.metadata()?.len();
            let mut before = vec![0; index(offset.min(len))];
            region.file.read_exact_at(&mut before, 0)?;
            // Behind it to the end of the page: no more is mapped of it.
            let behind = (offset + own).min(len);
            let mut after = vec![0; index(behind.next_multiple_of(0x1000).min(len) - behind)];
            region.file.read_exact_at(&mut after, behind)?;
            written |= before.iter().chain(&after).any(|byte| *byte != 0);
        }
        Ok(written)
    }

    /// The byte at a guest address; zero where there is no solid memory.
    pub(super) fn byte(&self, guest: u64) -> u8 {
        self.short(guest & !1).to_le_bytes()[usize::from(guest % 2 == 1)]
    }

    /// The two bytes at a guest address; zero where there is no solid memory.
    pub(super) fn short(&self, guest: u64) -> u16 {
        let at = guest.wrapping_sub(PLACES[0].guest);
        match &self.regions[0].mapping {
            Some(mapping) if at < LEN - 1 => mapping.load(index(at)),
            _ => 0,
        }
    }

    /// The parts of the first region that are worth rewriting, for queues of `size`.
    pub(super) fn hot(&self, size: u16) -> Vec<Range> {
        let Some(mapping) = &self.regions[0].mapping else { return Vec::new() };
        let size = u64::from(size.max(4));
        let range = |kind, at: u64, len: u64| {
            let (offset, len) = (index(at), index(len));
            Range { mapping: mapping.clone(), offset, len, kind, slot: None }
        };
        let mut ranges = Vec::new();
        for queue in 0..2 {
            let at = queue * RINGS;
            ranges.push(range(0, at, 16 * size));
            ranges.push(range(1, at + AVAILABLE, 6 + 2 * size));
            ranges.push(range(2, at + USED, 6 + 8 * size));
        }
        for slot in 0..SLOTS {
            let own = |range: Range| Range { slot: Some(slot), ..range };
            ranges.push(own(range(3, HEADERS + slot * HEADER, 16 + 64)));
            ranges.push(own(range(4, TABLES + slot * TABLE, 8 * 16)));
        }
        ranges.push(range(5, BUFFERS, SLOTS * BUFFER));
        ranges
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("an offset into our own memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_requests_and_rings_do_not_overlap() {
        let in_first = |at: u64| PLACES[0].has(at).then_some(());
        let mut parts = Vec::new();
        for queue in 0..QUEUES {
            let rings = Land::rings(queue, 0);
            for (at, len) in
                [(rings.descriptors, 0x4000), (rings.available, 0x1000), (rings.used, 0x3000)]
            {
                parts.push((at, len));
            }
        }
        for slot in (0..SLOTS).map(Land::slot) {
            parts.extend([(slot.header, HEADER), (slot.table, TABLE)]);
        }
        parts.sort_unstable();
        assert!(parts.iter().all(|(at, len)| in_first(at + len - 1).is_some()));
        assert!(parts.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "{parts:x?}");
        assert!(in_first(Land::slot(SLOTS - 8).buffer + BUFFER - 1).is_some());
    }

    #[test]
    fn bytes_written_to_solid_memory_are_read_again_and_others_are_let_go() {
        let land = Land::new().unwrap();
        land.write(PLACES[0].guest + 2, &[1, 2]);
        assert_eq!(land.short(PLACES[0].guest + 2), 0x0201);
        land.write(PLACES[2].guest, &[3]);
        land.write(0, &[4]);
        land.write(PLACES[0].guest + LEN - 1, &[5, 6]);
        assert_eq!(land.short(0), 0);
        assert_eq!(land.short(PLACES[0].guest + LEN - 2), 0);
    }

    #[test]
    fn user_address_is_told_for_guest_memory_and_nonsense_as_it_is() {
        assert_eq!(Land::user(PLACES[1].guest + 5), PLACES[1].user + 5);
        assert_eq!(Land::user(7), 7);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Guest memory: memfds that the back end maps as well.
//!
//! A region has three addresses: where the driver sees it (guest), where the front end says that
//! it has it (user; what ring addresses are told in), and where this process really mapped it. All
//! three differ, so that whoever confuses them is found out.

mod buffer;
mod free;
mod region;

use std::sync::Arc;

use vhost::vhost_user::message::VhostUserMemoryRegion;

use crate::sys::Mapping;

pub use buffer::Buffer;
pub use region::{Region, RegionAt};

/// Where [`GuestMemory::new`] puts its region.
pub const BASE: u64 = 0x10_0000;

/// The user address of the first region; each later one has a lower address than the one before,
/// with a hole between them.
const USER_BASE: u64 = 0x5000_0000_0000;
const USER_STRIDE: u64 = 0x10_0000_0000;

/// The memory of a guest, shared by all that were cloned from it.
#[derive(Clone, Debug)]
pub struct GuestMemory(Arc<[Region]>);

impl GuestMemory {
    /// One region of `len` bytes at [`BASE`].
    pub fn new(len: u64) -> Self {
        Self::of_regions(&[RegionAt::new(BASE, len)])
    }

    /// Memory with a hole or none between the regions, as `regions` says; in this order it will be
    /// told to the back end, too.
    pub fn of_regions(regions: &[RegionAt]) -> Self {
        Self::of(regions, Region::new)
    }

    /// The same in huge pages, which the machine must have: see
    /// [`huge_pages`](crate::requires::huge_pages).
    pub fn of_huge_regions(regions: &[RegionAt]) -> Self {
        Self::of(regions, Region::huge)
    }

    fn of(regions: &[RegionAt], region: fn(RegionAt, u64) -> Region) -> Self {
        let user = (0..).map(|i| USER_BASE - i * USER_STRIDE);
        Self(regions.iter().zip(user).map(|(at, user)| region(*at, user)).collect())
    }

    /// The regions, in the order in which they were asked for.
    pub fn regions(&self) -> &[Region] {
        &self.0
    }

    /// The regions as SET_MEM_TABLE describes them.
    pub fn table(&self) -> Vec<VhostUserMemoryRegion> {
        self.regions().iter().map(Region::described).collect()
    }

    /// `len` bytes of one region that nobody else has, aligned for whatever is put there. The
    /// region with the lowest addresses that has so many is used.
    #[track_caller]
    pub fn buffer(&self, len: usize) -> Buffer {
        let wanted = len_of(len).next_multiple_of(16).max(16);
        let mut regions: Vec<&Region> = self.regions().iter().collect();
        regions.sort_by_key(|region| region.at().guest);
        let start = regions.iter().find_map(|region| region.free().take(wanted));
        Buffer::new(self, start.expect("enough guest memory for one more buffer"), len, wanted)
    }

    /// The `len` bytes from `guest`, which may lie in several regions that touch.
    ///
    /// # Panics
    /// When a buffer has some of them, or they are not all in memory.
    #[track_caller]
    pub fn buffer_at(&self, guest: u64, len: usize) -> Buffer {
        self.in_regions(guest, len_of(len), |region, start, len| {
            assert!(region.free().take_at(start, len), "the {len} bytes at {start:#x} are taken");
        });
        Buffer::new(self, guest, len, len_of(len))
    }

    /// Calls `each` for every region that has some of the `len` bytes from `guest`: where they
    /// start in it, and how many they are.
    #[track_caller]
    fn in_regions(&self, guest: u64, len: u64, mut each: impl FnMut(&Region, u64, u64)) {
        let (mut at, end) = (guest, guest + len);
        while at < end {
            let region = self.region(at);
            let piece = end.min(region.end()) - at;
            each(region, at, piece);
            at += piece;
        }
    }

    /// Where the front end says that it has what is at `guest`.
    #[track_caller]
    pub fn user_address(&self, guest: u64) -> u64 {
        let region = self.region(guest);
        region.described().user_addr + (guest - region.at().guest)
    }

    /// The `len` bytes from `guest`, which may lie in several regions that touch.
    #[track_caller]
    pub fn read(&self, guest: u64, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        self.in_regions(guest, len_of(len), |region, start, len| {
            let (from, to) = (index(start - guest), index(start + len - guest));
            region.mapping().read(region.offset(start), &mut out[from..to]);
        });
        out
    }

    /// Puts `bytes` at `guest`; they may lie in several regions that touch.
    #[track_caller]
    pub fn write(&self, guest: u64, bytes: &[u8]) {
        self.in_regions(guest, len_of(bytes.len()), |region, start, len| {
            let (from, to) = (index(start - guest), index(start + len - guest));
            region.mapping().write(region.offset(start), &bytes[from..to]);
        });
    }

    /// Reads a little-endian number that the device may be writing.
    #[track_caller]
    pub fn load(&self, guest: u64) -> u16 {
        let (mapping, offset) = self.place(guest);
        mapping.load(offset)
    }

    /// Writes a little-endian number that the device may be reading, after all that was written
    /// before.
    #[track_caller]
    pub fn store(&self, guest: u64, value: u16) {
        let (mapping, offset) = self.place(guest);
        mapping.store(offset, value);
    }

    #[track_caller]
    fn place(&self, guest: u64) -> (&Mapping, usize) {
        let region = self.region(guest);
        (region.mapping(), region.offset(guest))
    }

    #[track_caller]
    fn region(&self, guest: u64) -> &Region {
        let found = self.regions().iter().find(|region| region.has(guest));
        found.unwrap_or_else(|| panic!("no guest memory at {guest:#x}"))
    }
}

fn len_of(len: usize) -> u64 {
    u64::try_from(len).expect("a length in 64 bits")
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("an offset into our own memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;

    #[test]
    fn buffer_across_touching_regions_reads_what_was_written() {
        let halves = [RegionAt::new(BASE + PAGE, PAGE), RegionAt::new(BASE, PAGE)];
        let memory = GuestMemory::of_regions(&halves);
        let buffer = memory.buffer_at(BASE + PAGE - 3, 6);
        buffer.write(b"abcdef");
        assert_eq!(buffer.bytes(), b"abcdef");
        assert_eq!(memory.read(BASE + PAGE, 3), b"def");
    }

    #[test]
    fn buffers_given_back_in_any_order_make_the_memory_whole_again() {
        let memory = GuestMemory::new(PAGE);
        let mut buffers: Vec<Buffer> = (0..16).map(|_| memory.buffer(250)).collect();
        while !buffers.is_empty() {
            drop(buffers.swap_remove(buffers.len() / 2));
        }
        assert_eq!(memory.buffer(4096).address(), BASE);
    }

    #[test]
    fn buffers_across_a_border_given_back_leave_no_free_range_across_it() {
        let halves = [RegionAt::new(BASE, PAGE), RegionAt::new(BASE + PAGE, PAGE)];
        let memory = GuestMemory::of_regions(&halves);
        drop(memory.buffer_at(BASE + PAGE - 16, 32));
        let whole = [memory.buffer(4096), memory.buffer(4096)];
        assert_eq!(whole.map(|buffer| buffer.address()), [BASE, BASE + PAGE]);
    }

    #[test]
    fn user_addresses_are_neither_guest_addresses_nor_in_their_order() {
        let regions = [RegionAt::new(BASE, PAGE), RegionAt::new(BASE + PAGE, PAGE)];
        let memory = GuestMemory::of_regions(&regions);
        assert_ne!(memory.user_address(BASE), BASE);
        assert!(memory.user_address(BASE + PAGE) < memory.user_address(BASE));
        assert_eq!(memory.user_address(BASE + 7), memory.user_address(BASE) + 7);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Memories for the ring, and what an input may put into them.

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use vhost_user_device::fuzz::ring::{Memory, Place, Region};

use crate::input::Input;

/// The highest region ends with the address space.
const HIGH: u64 = 0u64.wrapping_sub(0x1001);

/// Guest memories of different shapes; the first region of each has room for a ring.
pub(super) fn memories() -> Vec<Memory> {
    let region = |guest, len, offset| Region { guest, len, offset };
    let small = (0..12).map(|index| region(0x3000 + 0x20 * index, 0x20, 0x20 * index));
    vec![
        memory(vec![region(0, 0x4000, 0)]),
        // Neither the border nor the place in the file is one of pages.
        memory(vec![region(0x2200, 0x1e00, 0x200), region(0, 0x2200, 0)]),
        memory(vec![region(0, 0x2ff8, 0x1008), region(0x8000, 0x1000, 0)]),
        memory(vec![region(0, 0x3000, 0), region(HIGH, 0x1000, 0)]),
        memory(std::iter::once(region(0, 0x3000, 0)).chain(small).collect()),
    ]
}

fn memory(regions: Vec<Region>) -> Memory {
    let in_files = regions.into_iter().map(|region| {
        let end = region.offset + region.len;
        (region, file(end))
    });
    Memory::of(in_files.collect())
}

/// A memory file of so many zero bytes.
pub(crate) fn file(len: u64) -> File {
    let fd: OwnedFd = memfd_create("fuzz", MemfdFlags::CLOEXEC).expect("a memory file");
    ftruncate(&fd, len).expect("room for it");
    fd.into()
}

/// A descriptor: its address near something of interest, mostly.
pub(super) fn descriptor(input: &mut Input<'_>) -> [u8; 16] {
    let base = input.pick(&[0, 0, 0, 0x2000, 0x3000, 0x8000, HIGH, 1 << 63]);
    let offset = u64::from(input.u16());
    let address: u64 = base.wrapping_add(offset);
    let scale = input.pick(&[1, 1, 1, 16, 16, 0x1_0001]);
    let len = u32::from(input.u16()).wrapping_mul(scale);
    let (flags, next) = (u16::from(input.u8()), u16::from(input.u8()));
    let fields = [flags, next].into_iter().flat_map(u16::to_le_bytes);
    let bytes: Vec<u8> =
        address.to_le_bytes().into_iter().chain(len.to_le_bytes()).chain(fields).collect();
    bytes.try_into().expect("sixteen bytes")
}

/// Where a ring of `size` descriptors is: mostly where it should be.
pub(super) fn place(input: &mut Input<'_>, size: u16) -> Option<Place> {
    let usual = Place { descriptors: 0, avail: 0x400, used: 0x800, size };
    let any = |input: &mut Input<'_>| u64::from(input.u16());
    match input.u8() % 8 {
        0 => None,
        1 => Some(Place { descriptors: any(input), ..usual }),
        2 => Some(Place { avail: any(input), ..usual }),
        3 => Some(Place { used: any(input), ..usual }),
        4 => Some(Place { descriptors: any(input), avail: any(input), used: any(input), size }),
        _ => Some(usual),
    }
}

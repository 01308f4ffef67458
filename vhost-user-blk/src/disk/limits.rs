// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! In which units the host likes to be asked.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use crate::sys;

use super::options::{MAX_BLOCK_SIZE, MIN_BLOCK_SIZE};

/// The units of a disk, each in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The least that can be written.
    pub block_size: u32,
    /// What the host writes without reading first: a power of two, at least the block size.
    pub physical_block_size: u32,
    /// Where the first whole physical block begins: less than the physical block size.
    pub alignment_offset: u32,
    /// What the host likes to be asked for at least.
    pub min_io: u32,
    /// What the host likes best to be asked for; 0 if it does not say.
    pub opt_io: u32,
    /// What can be discarded: a multiple of the block size.
    pub discard_granularity: u32,
}

impl Limits {
    /// Those of `file`, with the logical block size as the host has it.
    ///
    /// # Errors
    /// The host does not say.
    pub(super) fn ask(file: &File, metadata: &Metadata) -> io::Result<Self> {
        if !metadata.file_type().is_block_device() {
            return Ok(Self::of_file(u32::try_from(metadata.blksize()).unwrap_or(0)));
        }
        let device = file.as_fd();
        let limits = Self {
            block_size: sys::logical_block_size(device)?,
            physical_block_size: sys::physical_block_size(device)?,
            alignment_offset: sys::alignment_offset(device)?.unwrap_or(0),
            min_io: sys::io_min(device)?,
            opt_io: sys::io_opt(device)?,
            discard_granularity: discard_granularity(metadata.rdev()).unwrap_or(0),
        };
        Ok(limits)
    }

    /// Those of a file in a file system that prefers to write `preferred` bytes at once.
    pub(super) fn of_file(preferred: u32) -> Self {
        let preferred = if preferred.is_power_of_two() { preferred } else { MAX_BLOCK_SIZE };
        Self {
            block_size: MIN_BLOCK_SIZE,
            // A guest's file system may make this its own unit, and has a largest one.
            physical_block_size: preferred.min(MAX_BLOCK_SIZE),
            alignment_offset: 0,
            min_io: preferred,
            opt_io: 0,
            discard_granularity: preferred,
        }
    }

    /// The same in blocks of `block_size`, and such that they make sense together.
    pub(super) fn in_blocks_of(self, block_size: u32) -> Self {
        let whole = |bytes: u32| if bytes.is_multiple_of(block_size) { bytes } else { 0 };
        let physical = self.physical_block_size;
        let physical =
            if physical.is_power_of_two() { physical.max(block_size) } else { block_size };
        Self {
            block_size,
            physical_block_size: physical,
            alignment_offset: whole(self.alignment_offset % physical),
            min_io: whole(self.min_io).max(physical),
            opt_io: whole(self.opt_io),
            discard_granularity: whole(self.discard_granularity).max(block_size),
        }
    }
}

/// What a block device can discard, in bytes, by its number; `None` if it cannot, or the system
/// does not say.
fn discard_granularity(device: u64) -> Option<u32> {
    let (major, minor) = (libc::major(device), libc::minor(device));
    let folder = format!("/sys/dev/block/{major}:{minor}");
    // A partition has the queue of its disk.
    ["queue", "../queue"].iter().find_map(|queue| {
        let text = fs::read_to_string(format!("{folder}/{queue}/discard_granularity")).ok()?;
        text.trim().parse().ok().filter(|&bytes| bytes != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: Limits = Limits {
        block_size: 512,
        physical_block_size: 4096,
        alignment_offset: 3584,
        min_io: 65536,
        opt_io: 1 << 20,
        discard_granularity: 1 << 16,
    };

    #[test]
    fn limits_of_a_device_are_its_own() {
        assert_eq!(DEVICE.in_blocks_of(512), DEVICE);
    }

    #[test]
    fn limits_of_a_file_are_what_its_file_system_prefers() {
        let limits = Limits::of_file(4096).in_blocks_of(512);
        assert_eq!((limits.physical_block_size, limits.min_io), (4096, 4096));
        assert_eq!((limits.opt_io, limits.discard_granularity), (0, 4096));
        let limits = Limits::of_file(1 << 20).in_blocks_of(512);
        assert_eq!((limits.physical_block_size, limits.min_io), (4096, 1 << 20));
    }

    #[test]
    fn limits_that_make_no_sense_become_a_block() {
        let odd = Limits {
            physical_block_size: 520,
            alignment_offset: 100,
            min_io: 0,
            opt_io: 1000,
            discard_granularity: 0,
            ..DEVICE
        };
        let sane = Limits {
            block_size: 512,
            physical_block_size: 512,
            alignment_offset: 0,
            min_io: 512,
            opt_io: 0,
            discard_granularity: 512,
        };
        assert_eq!(odd.in_blocks_of(512), sane);
    }

    #[test]
    fn limits_smaller_than_a_block_are_a_block() {
        let limits = Limits { physical_block_size: 512, ..DEVICE }.in_blocks_of(4096);
        assert_eq!((limits.physical_block_size, limits.alignment_offset), (4096, 0));
    }

    #[test]
    fn preference_that_is_no_power_of_two_is_not_followed() {
        assert_eq!(Limits::of_file(0), Limits::of_file(4096));
        assert_eq!(Limits::of_file(12288), Limits::of_file(4096));
    }

    #[test]
    fn granularity_of_a_device_that_is_none_is_unknown() {
        assert_eq!(discard_granularity(libc::makedev(0xfff, 0xffff)), None);
    }
}

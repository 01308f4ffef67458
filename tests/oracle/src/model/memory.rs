// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The table of memory regions.

use std::fs::File;
use std::ops::Range;

use vhost::vhost_user::Result;
use vhost::vhost_user::message::VhostUserMemoryRegion;

use super::refused;

/// More than that is not mapped.
const MOST: u64 = 1 << 45;

#[derive(Debug, Default)]
pub(super) struct Memory(Vec<Region>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Region {
    guest: Range<u64>,
    user: Range<u64>,
}

impl Memory {
    /// Exactly these regions.
    pub(super) fn of(regions: &[VhostUserMemoryRegion], files: &[File]) -> Result<Self> {
        let mut memory = Self::default();
        for (region, file) in regions.iter().zip(files) {
            memory.add(region, file)?;
        }
        Ok(memory)
    }

    /// One region more.
    pub(super) fn add(&mut self, said: &VhostUserMemoryRegion, file: &File) -> Result<()> {
        let region = Region::of(said)?;
        if self.0.iter().any(|other| other.overlaps(&region)) {
            return Err(refused("overlaps another region"));
        }
        let total: u64 = self.0.iter().map(Region::len).sum();
        if total + region.len() > MOST {
            return Err(refused("too much memory"));
        }
        can_be_mapped(file, said.mmap_offset, region.len())?;
        self.0.push(region);
        Ok(())
    }

    /// One region less.
    pub(super) fn remove(&mut self, said: &VhostUserMemoryRegion) -> Result<()> {
        let region = Region::of(said)?;
        let at = self.0.iter().position(|other| *other == region);
        self.0.remove(at.ok_or_else(|| refused("no such region"))?);
        Ok(())
    }

    /// Whether `len` bytes from this user address are memory, all in one region.
    pub(super) fn has(&self, user: u64, len: u64) -> bool {
        let end = user.checked_add(len);
        self.0.iter().any(|region| {
            region.user.contains(&user) && end.is_some_and(|end| end <= region.user.end)
        })
    }
}

/// Refuses a range of a file that cannot be mapped: only memory files can, as far as they reach.
pub(super) fn can_be_mapped(file: &File, offset: u64, len: u64) -> Result<()> {
    let metadata = file.metadata().map_err(|_| refused("no metadata"))?;
    let end = offset.checked_add(len).ok_or_else(|| refused("wraps"))?;
    if !metadata.is_file() || metadata.len() < end || len == 0 {
        return Err(refused("cannot be mapped"));
    }
    Ok(())
}

impl Region {
    fn of(said: &VhostUserMemoryRegion) -> Result<Self> {
        let len = said.memory_size;
        let range = |start: u64| {
            let end = start.checked_add(len).filter(|_| len != 0);
            end.map(|end| start..end).ok_or_else(|| refused("is empty or wraps"))
        };
        Ok(Self { guest: range(said.guest_phys_addr)?, user: range(said.user_addr)? })
    }

    fn len(&self) -> u64 {
        self.guest.end - self.guest.start
    }

    fn overlaps(&self, other: &Self) -> bool {
        let meet = |a: &Range<u64>, b: &Range<u64>| a.start < b.end && b.start < a.end;
        meet(&self.guest, &other.guest) || meet(&self.user, &other.user)
    }
}

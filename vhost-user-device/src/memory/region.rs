// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! One memory region: where the front end and the driver see it, and where we have mapped it.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::MetadataExt;

use super::mapped::{MapError, Mapped};
use crate::ring::Piece;

/// The addresses of a memory region, as SET_MEM_TABLE and ADD_MEM_REG say them; all in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RegionSpan {
    /// First guest address.
    pub(crate) guest: u64,
    /// Length.
    pub(crate) len: u64,
    /// First user address: the front end's own.
    pub(crate) user: u64,
    /// Where the region begins in the file that comes with it.
    pub(crate) file_offset: u64,
}

/// A mapped memory region.
pub(super) struct Region {
    pub(super) span: RegionSpan,
    /// The device and the inode of its file.
    file: Option<(u64, u64)>,
    mapped: Mapped,
}

impl RegionSpan {
    /// The first guest address beyond the region.
    pub(super) fn guest_end(&self) -> u64 {
        self.guest + self.len
    }

    #[inline]
    pub(super) fn holds_guest(&self, address: u64) -> bool {
        address.wrapping_sub(self.guest) < self.len
    }

    pub(super) fn holds_user(&self, address: u64) -> bool {
        address.wrapping_sub(self.user) < self.len
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let meet =
            |a: u64, b: u64| a < b.saturating_add(other.len) && b < a.saturating_add(self.len);
        meet(self.guest, other.guest) || meet(self.user, other.user)
    }

    /// REM_MEM_REG names a region by these three (its file offset is not said again by all).
    pub(super) fn same_addresses(&self, other: &Self) -> bool {
        (self.guest, self.user, self.len) == (other.guest, other.user, other.len)
    }

    /// Whether no address of the region wraps.
    fn is_sound(&self) -> bool {
        [self.guest, self.user].iter().all(|start| start.checked_add(self.len).is_some())
    }
}

impl fmt::Display for RegionSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { guest, len, user, file_offset } = self;
        write!(f, "guest {guest:#x} user {user:#x} + {len:#x} at file offset {file_offset:#x}")
    }
}

impl Region {
    /// Maps the region.
    pub(super) fn map(span: RegionSpan, file: File) -> Result<Self, MapError> {
        if !span.is_sound() {
            return Err(MapError::Wraps);
        }
        let identity = identity(&file);
        let mapped = Mapped::new(file, span.file_offset, span.len)?;
        Ok(Self { span, file: identity, mapped })
    }

    /// Whether it is these bytes of this file, at these addresses.
    pub(super) fn is(&self, span: RegionSpan, file: &File) -> bool {
        self.span == span && self.file.is_some() && self.file == identity(file)
    }

    #[cfg(test)]
    pub(super) fn anonymous(span: RegionSpan) -> Self {
        let len = usize::try_from(span.len).expect("a sound span");
        Self { span, file: None, mapped: Mapped::anonymous(len) }
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn as_driver(&self, start: u64, len: usize) -> vm_memory::VolatileSlice<'_> {
        let offset = usize::try_from(start - self.span.guest).expect("an offset");
        self.mapped.as_driver(offset, len)
    }

    /// Whether some of its pages could not be had when we touched them.
    pub(super) fn is_lost(&self) -> bool {
        self.mapped.is_lost()
    }

    /// The longest piece of at most `len` bytes from the guest address `start` on.
    #[inline]
    pub(super) fn piece(&self, start: u64, len: usize) -> Option<Piece> {
        // A guest address before the region is far beyond its end, modulo 2^64.
        let offset = usize::try_from(start.wrapping_sub(self.span.guest)).ok()?;
        self.mapped.piece(offset, len)
    }

    /// The guest address of a byte of our address space, if it is in this region.
    pub(super) fn guest_address(&self, address: usize) -> Option<u64> {
        // No region wraps.
        Some(self.span.guest + self.mapped.offset_of(address)? as u64)
    }
}

/// The device and the inode of a file, if it can be looked at.
fn identity(file: &File) -> Option<(u64, u64)> {
    let metadata = file.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

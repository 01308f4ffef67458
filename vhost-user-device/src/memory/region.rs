// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! One memory region: where the front end and the driver see it, and where we have mapped it.

use std::fmt;
use std::fs::File;
use std::io;

use vm_memory::FileOffset;
use vm_memory::mmap::{MmapRegion, MmapRegionError};

use crate::ring::Piece;
use crate::sys::Watch;

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

/// Why a region cannot be mapped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegionError {
    #[error("its length is zero")]
    Empty,
    #[error("its end is beyond the address space")]
    Wraps,
    #[error("its file has {len:#x} bytes")]
    FileTooShort { len: u64 },
    #[error("read the size of its file")]
    Stat(#[source] io::Error),
    #[error("mmap")]
    Mmap(#[source] MmapRegionError),
    #[error("watch for pages that cannot be had")]
    Watch(#[source] io::Error),
}

/// A mapped memory region.
pub(super) struct Region {
    pub(super) span: RegionSpan,
    /// Dropped before the mapping that it watches.
    watch: Option<Watch>,
    mapping: MmapRegion<()>,
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

    /// The length for mmap, once it is certain that no sum below can wrap.
    fn checked(&self) -> Result<usize, RegionError> {
        if self.len == 0 {
            return Err(RegionError::Empty);
        }
        let wraps = [self.guest, self.user, self.file_offset]
            .iter()
            .any(|start| start.checked_add(self.len).is_none());
        if wraps || isize::try_from(self.len).is_err() {
            return Err(RegionError::Wraps);
        }
        usize::try_from(self.len).map_err(|_| RegionError::Wraps)
    }
}

impl fmt::Display for RegionSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { guest, len, user, file_offset } = self;
        write!(f, "guest {guest:#x} user {user:#x} + {len:#x} at file offset {file_offset:#x}")
    }
}

impl Region {
    /// Maps the region. A regular file (a memfd is one) must be long enough: touching a page
    /// beyond a file's end would be a SIGBUS.
    pub(super) fn map(span: RegionSpan, file: File) -> Result<Self, RegionError> {
        let len = span.checked()?;
        let metadata = file.metadata().map_err(RegionError::Stat)?;
        if metadata.is_file() && metadata.len() < span.file_offset + span.len {
            return Err(RegionError::FileTooShort { len: metadata.len() });
        }
        let mapping = MmapRegion::build(
            Some(FileOffset::new(file, span.file_offset)),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_NORESERVE,
        )
        .map_err(RegionError::Mmap)?;
        let watch = Watch::over(mapping.as_ptr().expose_provenance(), len);
        Ok(Self { span, watch: Some(watch.map_err(RegionError::Watch)?), mapping })
    }

    #[cfg(test)]
    pub(super) fn anonymous(span: RegionSpan) -> Self {
        let len = span.checked().expect("a sound span");
        Self { span, watch: None, mapping: MmapRegion::new(len).expect("memory") }
    }

    #[cfg(test)]
    pub(super) fn as_driver(&self, start: u64, len: usize) -> vm_memory::VolatileSlice<'_> {
        use vm_memory::VolatileMemory;

        let offset = usize::try_from(start - self.span.guest).expect("an offset");
        self.mapping.get_slice(offset, len).expect("bytes of this region")
    }

    /// Whether some of its pages could not be had when we touched them.
    pub(super) fn is_lost(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::is_lost)
    }

    /// The longest piece of at most `len` bytes from the guest address `start` on.
    #[inline]
    pub(super) fn piece(&self, start: u64, len: usize) -> Option<Piece> {
        // A guest address before the region is far beyond its end, modulo 2^64.
        let offset = usize::try_from(start.wrapping_sub(self.span.guest)).ok()?;
        Piece::of_mapping(&self.mapping, offset, len)
    }
}

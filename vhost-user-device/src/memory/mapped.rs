// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A range of a front end's file in our address space.

use std::fs::File;
use std::io;

use vm_memory::FileOffset;
use vm_memory::mmap::{MmapRegion, MmapRegionError};

use crate::planted::Planted;
use crate::ring::Piece;
use crate::sys::{self, Watch};

/// Bytes of a file, mapped shared, readable and writable. They are watched: if their pages cannot
/// be had later on, [`Mapped::is_lost`] says so.
pub(crate) struct Mapped {
    /// Dropped before the mapping that it watches.
    watch: Option<Watch>,
    mapping: MmapRegion<()>,
    /// How many bytes of the mapping are before the range: it begins where a page does.
    skip: usize,
    len: usize,
}

/// Why a file cannot be mapped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MapError {
    #[error("its length is zero")]
    Empty,
    #[error("its end is beyond the address space")]
    Wraps,
    #[error("its file has {len:#x} bytes")]
    FileTooShort { len: u64 },
    #[error("look at its file")]
    Stat(#[source] io::Error),
    #[error("mmap")]
    Mmap(#[source] MmapRegionError),
    #[error("watch for pages that cannot be had")]
    Watch(#[source] io::Error),
}

impl Mapped {
    /// Maps `len` bytes of `file` from `offset` on, neither of which need be a multiple of a page,
    /// be it a huge one. A regular file (a memfd is one) must be long enough: touching a page
    /// beyond a file's end would be a SIGBUS.
    pub(crate) fn new(file: File, offset: u64, len: u64) -> Result<Self, MapError> {
        let size = checked(offset, len)?;
        let metadata = file.metadata().map_err(MapError::Stat)?;
        if metadata.is_file() && metadata.len() < offset + len {
            return Err(MapError::FileTooShort { len: metadata.len() });
        }
        let page = sys::page_size_of(&file).map_err(MapError::Stat)?;
        let before = offset % page;
        // Huge pages are unmapped whole.
        let whole = (before + len).checked_next_multiple_of(page).ok_or(MapError::Wraps)?;
        let mapping = MmapRegion::build(
            Some(FileOffset::new(file, offset - before)),
            checked(0, whole)?,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_NORESERVE,
        )
        .map_err(MapError::Mmap)?;
        let watch = Watch::over(mapping.as_ptr().expose_provenance(), mapping.size());
        let watch = Some(watch.map_err(MapError::Watch)?);
        let skip = usize::try_from(before).map_err(|_| MapError::Wraps)?;
        Ok(Self { watch, mapping, skip, len: size })
    }

    /// Ordinary anonymous memory, zeroed; what Miri can map too.
    #[cfg(test)]
    pub(crate) fn anonymous(len: usize) -> Self {
        let mapping = MmapRegion::new(len).expect("memory");
        Self { watch: None, mapping, skip: 0, len }
    }

    /// Whether some of its pages could not be had when we touched them: what we read there since is
    /// not what was written.
    pub(crate) fn is_lost(&self) -> bool {
        self.watch.as_ref().is_some_and(Watch::is_lost)
    }

    /// The bytes from `offset` on, at most `len` of them; `None` beyond the end.
    #[inline]
    pub(crate) fn piece(&self, offset: usize, len: usize) -> Option<Piece> {
        let left = self.len.checked_sub(offset)?;
        let len = if Planted::Piece.is_here() { len } else { len.min(left) };
        Piece::of_mapping(&self.mapping, self.skip + offset, len)
    }

    /// Where in the range the byte at `address` of our address space is.
    pub(crate) fn offset_of(&self, address: usize) -> Option<usize> {
        let start = self.mapping.as_ptr().addr() + self.skip;
        let offset = address.checked_sub(start)?;
        (offset < self.len).then_some(offset)
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn as_driver(&self, offset: usize, len: usize) -> vm_memory::VolatileSlice<'_> {
        use vm_memory::VolatileMemory;

        self.mapping.get_slice(self.skip + offset, len).expect("bytes of this mapping")
    }
}

/// The length for mmap, once it is certain that nothing wraps.
fn checked(offset: u64, len: u64) -> Result<usize, MapError> {
    if len == 0 {
        return Err(MapError::Empty);
    }
    if offset.checked_add(len).is_none() || isize::try_from(len).is_err() {
        return Err(MapError::Wraps);
    }
    usize::try_from(len).map_err(|_| MapError::Wraps)
}

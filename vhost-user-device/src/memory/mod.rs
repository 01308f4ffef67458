// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Guest memory as the front end shares it: an immutable table of mapped regions.
//!
//! Two address spaces lead to it. *Guest addresses* are what the driver writes into descriptors;
//! *user addresses* are the front end's own, in which it says where a ring is. A change
//! (SET_MEM_TABLE, ADD_MEM_REG, REM_MEM_REG) makes a new table; the old one, and with it the
//! mappings that only it holds, goes with the last request that uses it.

mod dirty_log;
mod mapped;
mod region;

use std::fmt;
use std::fs::File;
use std::sync::Arc;

use crate::ring::Piece;

use region::Region;

pub(crate) use dirty_log::DirtyLog;
pub(crate) use mapped::{MapError, Mapped};
pub(crate) use region::RegionSpan;

/// How many regions ADD_MEM_REG may add: GET_MAX_MEM_SLOTS' answer, what libvhost-user says too.
pub(crate) const MAX_MEM_SLOTS: usize = 509;

/// How many bytes a front end may have us map: 32 TiB, a quarter of our address space, so that
/// sparse files cannot use it up.
const MAX_TOTAL: u64 = 1 << 45;

/// An immutable table of the mapped regions, sorted by guest address.
#[derive(Clone, Default)]
pub(crate) struct MemoryMap {
    regions: Vec<Arc<Region>>,
}

/// A change of the table that is refused; the table stays as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MemoryError {
    #[error("map memory region {span}")]
    Map { span: RegionSpan, source: MapError },
    #[error("memory region {span} overlaps {other}")]
    Overlap { span: RegionSpan, other: RegionSpan },
    #[error("memory region {0} is not in the table")]
    Unknown(RegionSpan),
    #[error("more than {MAX_MEM_SLOTS} memory regions")]
    Full,
    #[error("memory region {0} and those before it are more than {MAX_TOTAL:#x} bytes")]
    TooMuch(RegionSpan),
}

/// Memory that the front end shares and whose pages could not be had when we touched them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    Region(RegionSpan),
    InflightRegion,
    DirtyLog,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(span) => write!(f, "memory region {span}"),
            Self::InflightRegion => f.write_str("the in-flight region"),
            Self::DirtyLog => f.write_str("the dirty log"),
        }
    }
}

/// A range of guest addresses that is not, or not wholly, guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("guest addresses {start:#x} + {len:#x} are not all guest memory")]
pub(crate) struct OutsideMemory {
    pub(crate) start: u64,
    pub(crate) len: u64,
}

impl MemoryMap {
    /// A table of these regions alone: SET_MEM_TABLE. Their order does not matter.
    pub(crate) fn of(regions: Vec<(RegionSpan, File)>) -> Result<Self, MemoryError> {
        let mut map = Self::default();
        for (span, file) in regions {
            map = map.with(span, file)?;
        }
        Ok(map)
    }

    /// This table and one region more: ADD_MEM_REG.
    ///
    /// A region that is there already, of the same file, is there twice from then on, and has to
    /// be removed as often: QEMU before 8.0 tells each one once for every pair of queues of a
    /// network device.
    pub(crate) fn with(&self, span: RegionSpan, file: File) -> Result<Self, MemoryError> {
        if self.regions.len() >= MAX_MEM_SLOTS {
            return Err(MemoryError::Full);
        }
        let mapped: u64 = self.regions.iter().map(|region| region.span.len).sum();
        if span.len > MAX_TOTAL.saturating_sub(mapped) {
            return Err(MemoryError::TooMuch(span));
        }
        if let Some(same) = self.regions.iter().find(|same| same.is(span, &file)) {
            return Ok(self.with_region(Arc::clone(same)));
        }
        if let Some(other) = self.regions.iter().find(|other| other.span.overlaps(&span)) {
            return Err(MemoryError::Overlap { span, other: other.span });
        }
        let region = Region::map(span, file).map_err(|source| MemoryError::Map { span, source })?;
        Ok(self.with_region(Arc::new(region)))
    }

    /// This table without the region that has the same addresses and length: REM_MEM_REG.
    pub(crate) fn without(&self, span: RegionSpan) -> Result<Self, MemoryError> {
        let mut regions = self.regions.clone();
        let at = regions
            .iter()
            .position(|region| region.span.same_addresses(&span))
            .ok_or(MemoryError::Unknown(span))?;
        regions.remove(at);
        Ok(Self { regions })
    }

    fn with_region(&self, region: Arc<Region>) -> Self {
        let mut regions = self.regions.clone();
        let at = regions.partition_point(|other| other.span.guest < region.span.guest);
        regions.insert(at, region);
        Self { regions }
    }

    /// Appends the pieces of our address space that hold `len` bytes from the guest address
    /// `start` on, split where one region ends and the next begins.
    #[inline]
    pub(crate) fn pieces(
        &self,
        start: u64,
        len: u32,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), OutsideMemory> {
        let outside = OutsideMemory { start, len: u64::from(len) };
        let mut at = self.index_of(start).ok_or(outside)?;
        let mut address = start;
        let mut left = len as usize;
        loop {
            let region = self.regions.get(at).ok_or(outside)?;
            let piece = region.piece(address, left).ok_or(outside)?;
            pieces.push(piece);
            left -= piece.len();
            if left == 0 {
                return Ok(());
            }
            // Nothing wraps: no region reaches beyond the end of the address space.
            address = region.span.guest_end();
            at += 1;
        }
    }

    /// The piece that holds `len` bytes from the guest address `start` on, or `None` if they are
    /// guest memory but not in one piece.
    pub(crate) fn piece(&self, start: u64, len: u32) -> Result<Option<Piece>, OutsideMemory> {
        let region = self.index_of(start).and_then(|at| self.regions.get(at));
        let piece = region.and_then(|region| region.piece(start, len as usize));
        if let Some(piece) = piece.filter(|piece| piece.len() == len as usize) {
            return Ok(Some(piece));
        }
        self.pieces(start, len, &mut Vec::new())?;
        Ok(None)
    }

    /// The guest address of a byte of our address space that is guest memory. Not for the data
    /// path: it looks at every region.
    pub(crate) fn guest_address(&self, address: usize) -> Option<u64> {
        self.regions.iter().find_map(|region| region.guest_address(address))
    }

    /// A region whose pages could not be had when we touched them: what we read of it since is not
    /// what the driver wrote.
    pub(crate) fn lost(&self) -> Option<RegionSpan> {
        self.regions.iter().find(|region| region.is_lost()).map(|region| region.span)
    }

    /// Which region holds this guest address.
    #[inline]
    fn index_of(&self, address: u64) -> Option<usize> {
        if let [only] = self.regions.as_slice() {
            return only.span.holds_guest(address).then_some(0);
        }
        let after = self.regions.partition_point(|region| region.span.guest <= address);
        let at = after.checked_sub(1)?;
        self.regions.get(at)?.span.holds_guest(address).then_some(at)
    }

    /// The piece of our address space that holds `len` bytes from the front end's user address
    /// `start` on; they lie in one region.
    pub(crate) fn piece_at_user(&self, start: u64, len: usize) -> Option<Piece> {
        let region = self.regions.iter().find(|region| region.span.holds_user(start))?;
        // The region maps user and guest addresses in step, so this cannot wrap.
        let guest = region.span.guest + (start - region.span.user);
        region.piece(guest, len).filter(|piece| piece.len() == len)
    }
}

impl fmt::Debug for MemoryMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.regions.iter().map(|region| region.span)).finish()
    }
}

#[cfg(any(test, fuzzing))]
impl MemoryMap {
    /// A table over ordinary anonymous memory, zeroed; what Miri can map too.
    #[cfg(test)]
    pub(crate) fn anonymous(spans: &[RegionSpan]) -> Self {
        spans
            .iter()
            .fold(Self::default(), |map, span| map.with_region(Arc::new(Region::anonymous(*span))))
    }

    /// What a driver in this process sees of guest memory: `len` bytes from the guest address
    /// `start` on, all in one region.
    pub(crate) fn as_driver(&self, start: u64, len: usize) -> vm_memory::VolatileSlice<'_> {
        let at = self.index_of(start).expect("guest memory");
        self.regions[at].as_driver(start, len)
    }
}

#[cfg(test)]
mod tests;

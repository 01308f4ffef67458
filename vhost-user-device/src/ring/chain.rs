// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! From the head of a descriptor chain to two lists of pieces (virtio 1.3, section 2.7.5).
//!
//! Everything is checked that the rest relies on: each buffer lies in guest memory, the
//! device-readable part comes first, and the chain ends.

use super::buffers::Buffers;
use super::guest::Piece;
use super::shared::{Descriptor, INDIRECT, NEXT, SharedRing, WRITE};
use crate::memory::{MemoryMap, OutsideMemory};

/// How many borders between regions the buffers of a chain may lie across, all together.
const MOST_BORDERS: usize = 1024;

/// What a chain may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChainRules {
    /// Whether the driver acked VIRTIO_F_INDIRECT_DESC.
    pub(crate) indirect: bool,
    /// The most descriptors in a chain, those of an indirect table counted.
    ///
    /// The ring's size would be the specification's bound, but Linux has always sent indirect
    /// tables that are longer than a short ring; the device's own bound, which the operator set,
    /// holds such a table and stops a hostile one as well.
    pub(crate) longest: u32,
}

/// A chain that no driver may make. It is given back with length 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChainError {
    #[error("descriptor {index} is beyond ring size {size}")]
    NextBeyond { index: u16, size: u16 },
    #[error("chain has more than {longest} descriptors")]
    TooLong { longest: u32 },
    #[error("chain has more than {most} pieces of memory")]
    TooManyPieces { most: usize },
    #[error("descriptor of length 0")]
    Empty,
    #[error("descriptor's buffer")]
    Outside(#[from] OutsideMemory),
    #[error("device-readable descriptor after a device-writable one")]
    ReadableAfterWritable,
    #[error("buffers of more than 4 GiB")]
    TooManyBytes,
    #[error("indirect descriptor, which the driver did not negotiate")]
    IndirectNotAcked,
    #[error("indirect descriptor within an indirect table")]
    IndirectInIndirect,
    #[error("indirect descriptor with NEXT")]
    IndirectWithNext,
    #[error("indirect table of {len} bytes")]
    IndirectLength { len: u32 },
    #[error("entry {index} is beyond an indirect table of {entries}")]
    IndirectNextBeyond { index: u16, entries: u32 },
}

/// Walks the chain at `head` and fills the two lists, which are empty.
#[inline]
pub(crate) fn walk<S: SharedRing>(
    ring: &S,
    head: u16,
    memory: &MemoryMap,
    rules: ChainRules,
    readable: &mut Buffers,
    writable: &mut Buffers,
) -> Result<(), ChainError> {
    let mut parts = Parts { memory, rules, count: 0, readable, writable };
    let size = ring.size();
    let mut index = head;
    loop {
        if index >= size {
            return Err(ChainError::NextBeyond { index, size });
        }
        let descriptor = ring.descriptor(index);
        if descriptor.has(INDIRECT) {
            return parts.add_table(descriptor);
        }
        parts.add(descriptor)?;
        // More descriptors than the table has: a loop.
        if parts.count > u32::from(size) {
            return Err(ChainError::TooLong { longest: u32::from(size) });
        }
        if !descriptor.has(NEXT) {
            return Ok(());
        }
        index = descriptor.next;
    }
}

/// What has been gathered of a chain so far.
struct Parts<'a> {
    memory: &'a MemoryMap,
    rules: ChainRules,
    count: u32,
    readable: &'a mut Buffers,
    writable: &'a mut Buffers,
}

impl Parts<'_> {
    fn add(&mut self, descriptor: Descriptor) -> Result<(), ChainError> {
        self.count += 1;
        if self.count > self.rules.longest {
            return Err(ChainError::TooLong { longest: self.rules.longest });
        }
        if descriptor.len == 0 {
            return Err(ChainError::Empty);
        }
        let total = self.readable.len() + self.writable.len() + descriptor.len as usize;
        if total > u32::MAX as usize {
            return Err(ChainError::TooManyBytes);
        }
        let list = if descriptor.has(WRITE) {
            &mut *self.writable
        } else if self.writable.is_empty() {
            &mut *self.readable
        } else {
            return Err(ChainError::ReadableAfterWritable);
        };
        list.append(self.memory, descriptor.address, descriptor.len)?;
        // A front end may have made hundreds of small regions in a row, and a driver descriptors
        // that reach over all of them.
        let most = self.rules.longest as usize + MOST_BORDERS;
        if self.readable.pieces() + self.writable.pieces() > most {
            return Err(ChainError::TooManyPieces { most });
        }
        Ok(())
    }

    /// Follows an indirect descriptor, the last of the direct ones, through its table.
    fn add_table(&mut self, descriptor: Descriptor) -> Result<(), ChainError> {
        if !self.rules.indirect {
            return Err(ChainError::IndirectNotAcked);
        }
        // WRITE on it is ignored, NEXT is forbidden (virtio 1.3, section 2.7.5.3).
        if descriptor.has(NEXT) {
            return Err(ChainError::IndirectWithNext);
        }
        let table = Table::at(self.memory, descriptor)?;
        let mut index = 0;
        loop {
            let descriptor = table.entry(index)?;
            if descriptor.has(INDIRECT) {
                return Err(ChainError::IndirectInIndirect);
            }
            self.add(descriptor)?;
            if !descriptor.has(NEXT) {
                return Ok(());
            }
            index = descriptor.next;
        }
    }
}

/// An indirect table: descriptors at a guest address.
struct Table<'a> {
    memory: &'a MemoryMap,
    start: u64,
    entries: u32,
    /// The table in one piece, as it nearly always is.
    whole: Option<Piece>,
}

impl<'a> Table<'a> {
    #[expect(clippy::cast_possible_truncation, reason = "16")]
    const ENTRY: u32 = Descriptor::SIZE as u32;

    fn at(memory: &'a MemoryMap, descriptor: Descriptor) -> Result<Self, ChainError> {
        let Descriptor { address, len, .. } = descriptor;
        if len == 0 || !len.is_multiple_of(Self::ENTRY) {
            return Err(ChainError::IndirectLength { len });
        }
        let whole = memory.piece(address, len)?;
        Ok(Self { memory, start: address, entries: len / Self::ENTRY, whole })
    }

    fn entry(&self, index: u16) -> Result<Descriptor, ChainError> {
        if u32::from(index) >= self.entries {
            return Err(ChainError::IndirectNextBeyond { index, entries: self.entries });
        }
        let offset = Descriptor::SIZE * usize::from(index);
        let bytes = match self.whole {
            // `at` found as many entries in it.
            Some(piece) => piece.part(offset, Descriptor::SIZE).read_once().unwrap_or_default(),
            None => {
                let mut entry = Buffers::default();
                // `at` found the whole table in guest memory, so this cannot wrap.
                entry.append(self.memory, self.start + offset as u64, Self::ENTRY)?;
                let mut bytes = [0; Descriptor::SIZE];
                // It was appended with just this length.
                let _ = entry.read(0, &mut bytes);
                bytes
            }
        };
        Ok(Descriptor::from_bytes(bytes))
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! One half of a descriptor chain: a list of pieces of guest memory.

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

use super::guest::Piece;
use crate::memory::{MemoryMap, OutsideMemory};
use crate::sys;

/// Lists of more pieces than that are not kept for later: a driver that makes one of them must not have
/// us hold as much for every request.
pub(crate) const MOST_KEPT: usize = 256;

/// The device-readable or the device-writable part of a request: bytes in guest memory, in one
/// piece or in several. The driver may change them at any time.
#[derive(Debug, Default)]
pub struct Buffers {
    pieces: Vec<Piece>,
    len: usize,
}

/// Bytes were asked for that a part of a request does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bytes {offset} + {len} are beyond the {have} of the buffers")]
pub struct OutOfRange {
    /// Where the access began.
    pub offset: usize,
    /// Its length in bytes.
    pub len: usize,
    /// How many bytes there are.
    pub have: usize,
}

impl Buffers {
    /// The length of all pieces together, in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies bytes `offset..offset + out.len()` out.
    ///
    /// # Errors
    /// There are fewer bytes; then `out` is as it was.
    #[inline]
    pub fn read(&self, offset: usize, mut out: &mut [u8]) -> Result<(), OutOfRange> {
        for piece in self.parts(self.checked(offset, out.len())?) {
            let (now, later) = out.split_at_mut(piece.len().min(out.len()));
            piece.read(now);
            out = later;
        }
        Ok(())
    }

    /// Copies `data` to bytes `offset..offset + data.len()`.
    ///
    /// # Errors
    /// There are fewer bytes; then nothing was written.
    #[inline]
    pub fn write(&self, offset: usize, mut data: &[u8]) -> Result<(), OutOfRange> {
        for piece in self.parts(self.checked(offset, data.len())?) {
            let (now, later) = data.split_at(piece.len().min(data.len()));
            piece.write(now);
            data = later;
        }
        Ok(())
    }

    /// Reads at most as many bytes as `into` has from `file`, from `offset` (bytes) there on, to these
    /// bytes; what of the range is beyond the end is left out. `flags` are the `RWF_...` of preadv2(2).
    /// Returns how many were read: fewer at the end of the file, behind a signal, or with very many pieces.
    ///
    /// # Errors
    /// Those of preadv2(2).
    pub fn read_from(
        &self,
        into: Range<usize>,
        file: BorrowedFd<'_>,
        offset: u64,
        flags: libc::c_int,
    ) -> io::Result<usize> {
        self.with_pieces(into, |pieces| sys::read_at(file, pieces, offset, flags))
    }

    /// Writes at most the bytes `from` to `file`, at `offset` (bytes) there; what of the range is beyond
    /// the end is left out. `flags` are the `RWF_...` of pwritev2(2). Returns how many were written: as
    /// [`Buffers::read_from`] does.
    ///
    /// # Errors
    /// Those of pwritev2(2).
    pub fn write_to(
        &self,
        from: Range<usize>,
        file: BorrowedFd<'_>,
        offset: u64,
        flags: libc::c_int,
    ) -> io::Result<usize> {
        self.with_pieces(from, |pieces| sys::write_at(file, pieces, offset, flags))
    }

    fn with_pieces<T>(&self, range: Range<usize>, transfer: impl FnOnce(&[Piece]) -> T) -> T {
        thread_local! {
            /// Used again and again, so that a transfer allocates nothing. Empty in between: it holds no
            /// memory.
            static PIECES: RefCell<Vec<Piece>> = const { RefCell::new(Vec::new()) };
        }
        PIECES.with_borrow_mut(|pieces| {
            self.fill(range, pieces);
            let result = transfer(pieces);
            pieces.clear();
            pieces.shrink_to(MOST_KEPT);
            result
        })
    }

    /// Fills the list with the pieces that hold the bytes of `range`, in order. What of the range
    /// is beyond the end is left out.
    #[inline]
    pub(crate) fn fill(&self, range: Range<usize>, pieces: &mut Vec<Piece>) {
        pieces.clear();
        pieces.extend(self.parts(range));
    }

    /// Appends `len` bytes of guest memory from the guest address `start` on.
    #[inline]
    pub(super) fn append(
        &mut self,
        memory: &MemoryMap,
        start: u64,
        len: u32,
    ) -> Result<(), OutsideMemory> {
        memory.pieces(start, len, &mut self.pieces)?;
        self.len += len as usize;
        Ok(())
    }

    /// How many pieces of memory the bytes are in.
    #[inline]
    pub(super) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Whether the list has room for more pieces than requests usually have.
    #[inline]
    pub(super) fn is_large(&self) -> bool {
        self.pieces.capacity() > MOST_KEPT
    }

    #[inline]
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.len = 0;
    }

    fn checked(&self, offset: usize, len: usize) -> Result<Range<usize>, OutOfRange> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Ok(offset..end),
            _ => Err(OutOfRange { offset, len, have: self.len }),
        }
    }

    /// The parts of the pieces that hold the bytes of `range`, none of them empty.
    pub(super) fn parts(&self, range: Range<usize>) -> impl Iterator<Item = Piece> + '_ {
        let mut skip = range.start;
        let mut left = range.end.saturating_sub(range.start);
        self.pieces
            .iter()
            .map_while(move |piece| {
                if left == 0 {
                    return None;
                }
                let part = piece.part(skip, left);
                skip -= skip.min(piece.len());
                left -= part.len();
                Some(part)
            })
            .filter(|part| part.len() != 0)
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The part of an operation that the kernel is asked for at once, and the buffer that it goes
//! through if O_DIRECT does not take the guest's memory as it is.

use std::ops::Range;

use super::{Access, Operation};
use crate::ring::{Piece, Request};

/// The most of an operation that goes through a buffer at once, in bytes.
const LONGEST_BOUNCE: usize = 128 * 1024;

/// What the kernel is asked for: pieces of memory, and where in the file they belong. To be used
/// again and again.
#[derive(Debug, Default)]
pub(crate) struct Transfer {
    pieces: Vec<Piece>,
    offset: u64,
    bounce: Option<Bounce>,
}

/// Whether a transfer may go through a buffer now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MayBounce {
    Yes,
    No,
}

/// A buffer of ours.
#[derive(Debug)]
struct Bounce {
    bytes: Vec<u8>,
    /// Which of them the kernel reads or writes: aligned.
    aligned: Range<usize>,
    /// How many of those come before what was asked for.
    before: usize,
    /// How many bytes were asked for.
    len: usize,
}

impl Transfer {
    /// Plans the next step of an operation of which `done` bytes are done. Returns whether there is
    /// one: if it must go through a buffer and may not, there is none yet.
    #[inline]
    pub(crate) fn plan(
        &mut self,
        access: Access,
        operation: &Operation,
        done: usize,
        request: &Request,
        may_bounce: MayBounce,
    ) -> bool {
        self.bounce = None;
        self.offset = operation.offset().saturating_add(done as u64);
        let Some((buffers, range)) = operation.buffers(request) else {
            self.pieces.clear();
            return true;
        };
        let left = range.start.saturating_add(done)..range.end;
        buffers.fill(left.clone(), &mut self.pieces);
        let Access::Direct { memory, offset } = access else { return true };
        let is_aligned = |piece: &Piece| {
            piece.start().addr().is_multiple_of(memory) && piece.len().is_multiple_of(offset)
        };
        let in_file = self.offset.is_multiple_of(offset as u64);
        if in_file && self.pieces.iter().all(is_aligned) {
            return true;
        }
        if may_bounce == MayBounce::No {
            return false;
        }
        self.bounce(operation, left, memory, offset, request);
        true
    }

    /// Has the step go through a buffer: as much of `left` as fits.
    fn bounce(
        &mut self,
        operation: &Operation,
        left: Range<usize>,
        memory: usize,
        offset: usize,
        request: &Request,
    ) {
        let len = left.len().min(LONGEST_BOUNCE);
        let is_read = matches!(operation, Operation::Read { .. });
        // A read is widened; a write as it is may be refused, but nothing beside it is touched.
        let before = match usize::try_from(self.offset % offset.max(1) as u64) {
            Ok(before) if is_read => before,
            _ => 0,
        };
        let whole = before + len;
        let asked = if is_read { whole.next_multiple_of(offset.max(1)) } else { whole };
        let mut bytes = vec![0; asked + memory];
        let start = bytes.as_ptr().addr().wrapping_neg() & (memory.max(1) - 1);
        let aligned = start..start + asked;
        if !is_read {
            let from = left.start..left.start + len;
            let copied = request.readable().read(from.start, &mut bytes[start..start + len]);
            debug_assert!(copied.is_ok(), "{from:?} is beyond the request");
        }
        self.pieces.clear();
        self.pieces.push(Piece::of_ours(&mut bytes[aligned.clone()]));
        self.offset -= before as u64;
        self.bounce = Some(Bounce { bytes, aligned, before, len });
    }

    /// The memory, in order.
    #[inline]
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Where in the file, in bytes.
    #[inline]
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes of our memory it holds.
    pub(crate) fn holds(&self) -> usize {
        self.bounce.as_ref().map_or(0, |bounce| bounce.bytes.len())
    }

    /// The kernel has moved `moved` bytes. Returns how many bytes more of the operation are done;
    /// none at the end of the file.
    #[inline]
    pub(crate) fn took(
        &mut self,
        operation: &Operation,
        done: usize,
        request: &Request,
        moved: usize,
    ) -> usize {
        let Some(Bounce { bytes, aligned, before, len }) = self.bounce.take() else { return moved };
        let wanted = moved.saturating_sub(before).min(len);
        if let Operation::Read { into, .. } = operation {
            let first = aligned.start + before;
            let copied = request.writable().write(into.start + done, &bytes[first..first + wanted]);
            debug_assert!(copied.is_ok(), "{into:?} is beyond the request");
        }
        wanted
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The part of an operation that the kernel is asked for at once, and the buffer that it goes
//! through if O_DIRECT does not take the guest's memory as it is.

use std::io;
use std::ops::Range;

use super::{Access, Operation};
use crate::ring::{MOST_KEPT, Piece, Request};
use crate::sys;

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
    ///
    /// # Errors
    /// EFAULT: memory that is to be written to the file is not there.
    #[inline]
    pub(crate) fn plan(
        &mut self,
        access: Access,
        operation: &Operation,
        done: usize,
        request: &Request,
        may_bounce: MayBounce,
    ) -> io::Result<bool> {
        self.bounce = None;
        self.point_to(operation, done, request);
        let (Access::Direct { memory, offset }, Some((_, range))) =
            (access, operation.buffers(request))
        else {
            return Ok(true);
        };
        let is_aligned = |piece: &Piece| {
            piece.start().addr().is_multiple_of(memory) && piece.len().is_multiple_of(offset)
        };
        let in_file = self.offset.is_multiple_of(offset as u64);
        if in_file && self.pieces.iter().all(is_aligned) {
            return Ok(true);
        }
        if may_bounce == MayBounce::No {
            return Ok(false);
        }
        let left = range.start.saturating_add(done)..range.end;
        match operation {
            Operation::Write { .. } => self.bounce_out(left, memory, request)?,
            _ => self.bounce_in(left.len(), memory, offset),
        }
        Ok(true)
    }

    /// Points to all memory that is left of the operation, as it is.
    #[inline]
    pub(crate) fn point_to(&mut self, operation: &Operation, done: usize, request: &Request) {
        self.offset = operation.offset().saturating_add(done as u64);
        match operation.buffers(request) {
            Some((buffers, range)) => {
                buffers.fill(range.start.saturating_add(done)..range.end, &mut self.pieces);
            }
            None => self.pieces.clear(),
        }
    }

    /// Has the step read to a buffer: `left` bytes, or as many as fit. It begins and ends where the
    /// file wants that.
    fn bounce_in(&mut self, left: usize, memory: usize, offset: usize) {
        let len = left.min(LONGEST_BOUNCE);
        let before = usize::try_from(self.offset % offset.max(1) as u64).unwrap_or(0);
        let (bytes, aligned) = buffer((before + len).next_multiple_of(offset.max(1)), memory);
        self.offset -= before as u64;
        self.go_through(Bounce { bytes, aligned, before, len });
    }

    /// Has the step write from a buffer what is `left` of the device-readable part, or as much as
    /// fits. It may be refused as it is, but nothing beside it is touched.
    fn bounce_out(
        &mut self,
        left: Range<usize>,
        memory: usize,
        request: &Request,
    ) -> io::Result<()> {
        let len = left.len().min(LONGEST_BOUNCE);
        let (mut bytes, aligned) = buffer(len, memory);
        let losses = sys::losses();
        let copied = request.readable().read(left.start, &mut bytes[aligned.clone()]);
        // What is lost reads as zeroes, which must not get to the disk.
        if copied.is_err() || sys::losses() != losses {
            return Err(io::Error::from_raw_os_error(libc::EFAULT));
        }
        self.go_through(Bounce { bytes, aligned, before: 0, len });
        Ok(())
    }

    fn go_through(&mut self, mut bounce: Bounce) {
        self.pieces.clear();
        self.pieces.push(Piece::of_ours(&mut bounce.bytes[bounce.aligned.clone()]));
        self.bounce = Some(bounce);
    }

    /// Gets ready to be used again, with what room it has unless that is a lot.
    pub(crate) fn clear(&mut self) {
        self.bounce = None;
        if self.pieces.capacity() > MOST_KEPT {
            self.pieces = Vec::new();
        }
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

/// A buffer, and which of its bytes are to be used: `len` of them, aligned.
fn buffer(len: usize, alignment: usize) -> (Vec<u8>, Range<usize>) {
    let bytes = vec![0; len + alignment];
    let start = bytes.as_ptr().addr().wrapping_neg() & (alignment.max(1) - 1);
    (bytes, start..start + len)
}

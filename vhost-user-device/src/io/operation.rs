// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What can be done with a file for a request.

use std::io;
use std::ops::Range;

use crate::ring::{Buffers, Request};

/// What is to be done with a file for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read from `offset` (bytes) of the file into bytes `into` of the device-writable part.
    Read {
        /// Where in the file, in bytes.
        offset: u64,
        /// Which bytes of the request's device-writable part.
        into: Range<usize>,
    },
    /// Write bytes `from` of the device-readable part at `offset` (bytes) of the file.
    Write {
        /// Where in the file, in bytes.
        offset: u64,
        /// Which bytes of the request's device-readable part.
        from: Range<usize>,
    },
    /// Put what was written before on stable storage (fdatasync(2)).
    Sync,
    /// fallocate(2).
    Allocate {
        /// FALLOC_FL_...
        mode: i32,
        /// Where in the file, in bytes.
        offset: u64,
        /// How much, in bytes.
        len: u64,
    },
    /// Give up what a block device holds (the ioctl BLKDISCARD).
    Discard {
        /// Where on the device, in bytes.
        offset: u64,
        /// How much, in bytes.
        len: u64,
    },
}

/// An operation that is done.
#[derive(Debug)]
#[must_use = "its request must be completed"]
pub struct Finished {
    /// The request that it was for.
    pub request: Request,
    /// What the device called it.
    pub tag: u64,
    /// How many bytes were read or written; fewer than asked for only at the end of the file.
    pub result: io::Result<usize>,
}

impl Operation {
    /// How many bytes of a request it is about.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Read { into: range, .. } | Self::Write { from: range, .. } => range.len(),
            Self::Sync | Self::Allocate { .. } | Self::Discard { .. } => 0,
        }
    }

    /// Where in the file it begins, in bytes.
    pub(crate) fn offset(&self) -> u64 {
        match self {
            Self::Read { offset, .. }
            | Self::Write { offset, .. }
            | Self::Allocate { offset, .. }
            | Self::Discard { offset, .. } => *offset,
            Self::Sync => 0,
        }
    }

    /// The buffers that it reads into or writes from, and which bytes of them.
    pub(super) fn buffers<'r>(
        &'r self,
        request: &'r Request,
    ) -> Option<(&'r Buffers, &'r Range<usize>)> {
        match self {
            Self::Read { into, .. } => Some((request.writable(), into)),
            Self::Write { from, .. } => Some((request.readable(), from)),
            Self::Sync | Self::Allocate { .. } | Self::Discard { .. } => None,
        }
    }
}

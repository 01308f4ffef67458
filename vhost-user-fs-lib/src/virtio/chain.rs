// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The two parts of a descriptor chain as a request and the room for its answer.

use std::io;
use std::os::fd::BorrowedFd;

use libc::c_int;
use vhost_user_device::planted::Planted;
use vhost_user_device::{Buffers, OutOfRange};

use crate::transport::{Incoming, Outgoing, Short};

/// The device-readable part.
pub(super) struct Readable<'r>(pub(super) &'r Buffers);

/// The device-writable part.
pub(super) struct Writable<'r>(pub(super) &'r Buffers);

impl Incoming for Readable<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), Short> {
        self.0.read(offset, out).map_err(short)
    }

    fn write_to(
        &self,
        from: usize,
        len: usize,
        file: BorrowedFd<'_>,
        offset: u64,
        flags: c_int,
    ) -> io::Result<usize> {
        self.0.write_to(from..from.saturating_add(len), file, offset, flags)
    }
}

impl Outgoing for Writable<'_> {
    fn len(&self) -> usize {
        self.0.len() + if Planted::Room.is_here() { 8 } else { 0 }
    }

    fn write(&self, offset: usize, data: &[u8]) -> Result<(), Short> {
        self.0.write(offset, data).map_err(short)
    }

    fn read_from(
        &self,
        into: usize,
        len: usize,
        file: BorrowedFd<'_>,
        offset: u64,
        flags: c_int,
    ) -> io::Result<usize> {
        self.0.read_from(into..into.saturating_add(len), file, offset, flags)
    }
}

fn short(OutOfRange { offset, len, .. }: OutOfRange) -> Short {
    Short { offset, len }
}

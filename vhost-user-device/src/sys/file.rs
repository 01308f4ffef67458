// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Transfers between a file and guest memory.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::{checked, checked_len};
use crate::ring::Piece;

/// The most pieces that one transfer can have: UIO_MAXIOV.
pub(super) const MAX_PIECES: usize = 1024;

/// Pieces as the kernel wants them; they are laid out like that. No more than it takes.
pub(super) fn iovecs(pieces: &[Piece]) -> (*const libc::iovec, u16) {
    // 1024 and less.
    let count = u16::try_from(pieces.len().min(MAX_PIECES)).unwrap_or(0);
    (pieces.as_ptr().cast(), count)
}

/// Reads from `offset` (bytes) of a file to guest memory, and returns how many bytes: fewer than
/// asked for at the end of the file, behind a signal, or with very many pieces. `flags` are RWF_...
///
/// The map that the pieces are of must be held by the caller.
pub(crate) fn read_at(
    file: &File,
    pieces: &[Piece],
    offset: u64,
    flags: libc::c_int,
) -> io::Result<usize> {
    let (iovecs, count) = iovecs(pieces);
    let offset = as_off_t(offset)?;
    // SAFETY: `iovecs` points to `count` iovecs, each a piece of guest memory that is mapped and
    // writable (see `Piece`) and that no Rust reference covers.
    checked_len(unsafe { libc::preadv2(file.as_raw_fd(), iovecs, count.into(), offset, flags) })
}

/// Writes guest memory at `offset` (bytes) of a file, as [`read_at`] reads.
pub(crate) fn write_at(
    file: &File,
    pieces: &[Piece],
    offset: u64,
    flags: libc::c_int,
) -> io::Result<usize> {
    let (iovecs, count) = iovecs(pieces);
    let offset = as_off_t(offset)?;
    // SAFETY: as in `read_at`, and the kernel only reads the pieces.
    checked_len(unsafe { libc::pwritev2(file.as_raw_fd(), iovecs, count.into(), offset, flags) })
}

/// fallocate(2).
pub(crate) fn allocate(file: &File, mode: i32, offset: u64, len: u64) -> io::Result<()> {
    let (offset, len) = (as_off_t(offset)?, as_off_t(len)?);
    // SAFETY: the call takes no pointers.
    checked(unsafe { libc::fallocate(file.as_raw_fd(), mode, offset, len) }).map(drop)
}

/// Gives up what a block device holds.
pub(crate) fn discard(file: &File, offset: u64, len: u64) -> io::Result<()> {
    const BLKDISCARD: libc::Ioctl = libc::_IO(0x12, 119);
    let range = [offset, len];
    // SAFETY: the request reads two numbers, and `range` are two that live through the call.
    checked(unsafe { libc::ioctl(file.as_raw_fd(), BLKDISCARD, range.as_ptr()) }).map(drop)
}

fn as_off_t(offset: u64) -> io::Result<libc::off_t> {
    libc::off_t::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

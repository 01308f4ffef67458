// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Transfers between a file and guest memory.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::checked;
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
    file: BorrowedFd<'_>,
    pieces: &[Piece],
    offset: u64,
    flags: libc::c_int,
) -> io::Result<usize> {
    transfer(libc::SYS_preadv2, file, pieces, offset, flags)
}

/// Writes guest memory at `offset` (bytes) of a file, as [`read_at`] reads.
pub(crate) fn write_at(
    file: BorrowedFd<'_>,
    pieces: &[Piece],
    offset: u64,
    flags: libc::c_int,
) -> io::Result<usize> {
    transfer(libc::SYS_pwritev2, file, pieces, offset, flags)
}

/// One transfer by the system call `number`, SYS_preadv2 or SYS_pwritev2: without the C library,
/// whose functions make each call a point where a thread can be cancelled.
#[inline]
fn transfer(
    number: libc::c_long,
    file: BorrowedFd<'_>,
    pieces: &[Piece],
    offset: u64,
    flags: libc::c_int,
) -> io::Result<usize> {
    let (iovecs, count) = iovecs(pieces);
    let (fd, count) = (libc::c_long::from(file.as_raw_fd()), libc::c_long::from(count));
    let (offset, flags) = (as_off_t(offset)?, libc::c_long::from(flags));
    // The offset comes in two halves, of which the upper one counts where a register has 32 bits.
    const UPPER: libc::c_long = 0;
    // SAFETY: `iovecs` points to `count` iovecs, each a piece of memory that is mapped, writable if
    // it is read to (see `Piece`), and that no Rust reference covers.
    let moved = unsafe { libc::syscall(number, fd, iovecs, count, offset, UPPER, flags) };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

#[cfg(not(target_pointer_width = "64"))]
compile_error!("an offset in a file is passed to the kernel in one register");

/// fdatasync(2), once: what it says first is told to nobody a second time.
pub(crate) fn sync_data(file: &File) -> io::Result<()> {
    // SAFETY: the call takes no pointers.
    checked(unsafe { libc::fdatasync(file.as_raw_fd()) }).map(drop)
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

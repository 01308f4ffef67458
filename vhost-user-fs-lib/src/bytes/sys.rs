// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! preadv2(2) and pwritev2(2) of one piece of memory.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, iovec};

/// Reads from `file`, from `offset` on, to `room`, with the `RWF_...` flags. Returns how many bytes.
///
/// # Errors
/// Those of preadv2(2).
pub(super) fn read(
    file: BorrowedFd<'_>,
    room: &mut [u8],
    offset: u64,
    flags: c_int,
) -> io::Result<usize> {
    let offset = offset_of(offset)?;
    let piece = iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
    // SAFETY: `piece` is one iovec, of memory that is borrowed for writing until the call returns.
    let read = unsafe { libc::preadv2(file.as_raw_fd(), &raw const piece, 1, offset, flags) };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

/// Writes `bytes` to `file`, at `offset`, with the `RWF_...` flags. Returns how many bytes.
///
/// # Errors
/// Those of pwritev2(2).
pub(super) fn write(
    file: BorrowedFd<'_>,
    bytes: &[u8],
    offset: u64,
    flags: c_int,
) -> io::Result<usize> {
    let offset = offset_of(offset)?;
    let piece = iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: `piece` is one iovec, of memory that is borrowed until the call returns, which only reads it.
    let written = unsafe { libc::pwritev2(file.as_raw_fd(), &raw const piece, 1, offset, flags) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// An offset, which -1 (the file's own position) is not.
fn offset_of(offset: u64) -> io::Result<i64> {
    i64::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The entries of a directory, and positions in files.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::c_int;

use super::signed;

/// Bytes of `struct linux_dirent64` before the name.
const HEAD: usize = 19;

/// An entry of a directory as the kernel has written it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'b> {
    pub(crate) ino: u64,
    /// The position behind it.
    pub(crate) offset: u64,
    pub(crate) kind: u8,
    pub(crate) name: &'b CStr,
    /// How many bytes it takes in the buffer.
    pub(crate) len: usize,
}

impl<'b> Found<'b> {
    /// The first entry of `bytes`, which getdents64(2) has written.
    pub(crate) fn first(bytes: &'b [u8]) -> Option<Self> {
        let ino = u64::from_ne_bytes(*bytes.first_chunk()?);
        let offset = u64::from_ne_bytes(*bytes.get(8..)?.first_chunk()?);
        let len = usize::from(u16::from_ne_bytes(*bytes.get(16..)?.first_chunk()?));
        let kind = *bytes.get(18)?;
        let name = CStr::from_bytes_until_nul(bytes.get(HEAD..len)?).ok()?;
        Some(Self { ino, offset, kind, name, len })
    }
}

/// Fills `buffer` with entries. Returns how many bytes they have: none at the end.
pub(crate) fn getdents(directory: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let (out, len) = (buffer.as_mut_ptr(), buffer.len());
    // SAFETY: `out` has `len` writable bytes.
    let result = unsafe { libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), out, len) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Moves the position of an open file. Returns where it is then.
pub(crate) fn seek(file: BorrowedFd<'_>, offset: u64, whence: c_int) -> io::Result<u64> {
    seek_signed(file, signed(offset)?, whence)
}

/// Moves the position of an open directory; those of some file systems are negative numbers.
pub(crate) fn seek_directory(directory: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
    seek_signed(directory, offset.cast_signed(), libc::SEEK_SET).map(drop)
}

fn seek_signed(file: BorrowedFd<'_>, offset: libc::off_t, whence: c_int) -> io::Result<u64> {
    // SAFETY: the call takes numbers alone.
    let result = unsafe { libc::lseek(file.as_raw_fd(), offset, whence) };
    u64::try_from(result).map_err(|_| io::Error::last_os_error())
}

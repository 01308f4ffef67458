// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Attributes changed.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::{checked, signed};

/// Since Linux 6.6; the same number on every architecture.
const SYS_FCHMODAT2: libc::c_long = 452;

/// Of an open file.
pub(crate) fn fchmod(file: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    // SAFETY: the call takes numbers alone.
    checked(unsafe { libc::fchmod(file.as_raw_fd(), mode) })
}

/// Of what an O_PATH descriptor stands for. ENOSYS before Linux 6.6.
pub(crate) fn fchmod_path(file: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    let (fd, name, flags) = (file.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: the name is a constant.
    let result = unsafe { libc::syscall(SYS_FCHMODAT2, fd, name, mode, flags) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Of what `name` is in `directory`, links followed. The name is none of the client's.
pub(crate) fn fchmodat(directory: BorrowedFd<'_>, name: &CStr, mode: u32) -> io::Result<()> {
    // SAFETY: `name` ends with a NUL and outlives the call.
    checked(unsafe { libc::fchmodat(directory.as_raw_fd(), name.as_ptr(), mode, 0) })
}

/// Of what a descriptor stands for; `u32::MAX` leaves the user or the group as it is.
pub(crate) fn fchown(file: BorrowedFd<'_>, uid: u32, gid: u32) -> io::Result<()> {
    let (fd, name, flags) = (file.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: the name is a constant.
    checked(unsafe { libc::fchownat(fd, name, uid, gid, flags) })
}

pub(crate) fn ftruncate(file: BorrowedFd<'_>, size: u64) -> io::Result<()> {
    // SAFETY: the call takes numbers alone.
    checked(unsafe { libc::ftruncate(file.as_raw_fd(), signed(size)?) })
}

/// The times of access and change of what a descriptor stands for.
pub(crate) fn utimens(file: BorrowedFd<'_>, times: &[libc::timespec; 2]) -> io::Result<()> {
    let (fd, name, flags) = (file.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: the name is a constant, `times` outlives the call.
    checked(unsafe { libc::utimensat(fd, name, times.as_ptr(), flags) })
}

/// The time that leaves one as it is.
pub(crate) const OMIT: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_OMIT };

/// The time that is now.
pub(crate) const NOW: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_NOW };

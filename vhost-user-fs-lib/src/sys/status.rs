// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What is known of a file or a file system: statx(2), statfs(2).

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::checked;

const WANTED: u32 = libc::STATX_BASIC_STATS | libc::STATX_BTIME | libc::STATX_MNT_ID;

/// The attributes of the file that `name` is in `directory`, or with an empty name those of `directory`
/// itself. No symbolic link is followed and nothing is mounted.
pub(crate) fn statx(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<libc::statx> {
    let mut status = MaybeUninit::<libc::statx>::zeroed();
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT | libc::AT_EMPTY_PATH;
    let (fd, name, out) = (directory.as_raw_fd(), name.as_ptr(), status.as_mut_ptr());
    // SAFETY: `name` ends with a NUL, `out` is writable; both outlive the call.
    checked(unsafe { libc::statx(fd, name, flags, WANTED, out) })?;
    // SAFETY: it is plain data, for which the zeroes of its start are valid, too.
    Ok(unsafe { status.assume_init() })
}

/// The file system that a file is in.
pub(crate) fn statfs(file: BorrowedFd<'_>) -> io::Result<libc::statfs> {
    let mut status = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: `status` is writable and outlives the call.
    checked(unsafe { libc::fstatfs(file.as_raw_fd(), status.as_mut_ptr()) })?;
    // SAFETY: it is plain data, for which the zeroes of its start are valid, too.
    Ok(unsafe { status.assume_init() })
}

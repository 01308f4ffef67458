// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Directory entries by descriptor and name, so that they stay within reach when a path is not.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd};
use std::time::Duration;

use super::checked;

/// Opens the entry `name` of `directory` as a place only (O_PATH), without following a symbolic
/// link: its metadata can be read, its contents cannot.
///
/// # Errors
/// Those of openat(2); `NotFound` if there is no such entry.
pub(crate) fn open_place_at(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<File> {
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    // SAFETY: `name` ends with a NUL and lives through the call, which writes no memory of ours.
    let fd = checked(unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), flags) })?;
    // SAFETY: the kernel has just handed out this descriptor, so nobody else owns it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// What is known of a file without opening it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// Type and permission bits, as in st_mode.
    pub(crate) mode: u32,
}

/// Looks at the entry `name` of `directory`, without following a symbolic link. It takes no
/// descriptor, so that it works when there are none left.
///
/// # Errors
/// Those of fstatat(2); `NotFound` if there is no such entry.
pub(crate) fn stat_at(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<Stat> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `name` ends with a NUL, `stat` is ours to write, and both live through the call.
    checked(unsafe {
        libc::fstatat(
            directory.as_raw_fd(),
            name.as_ptr(),
            stat.as_mut_ptr(),
            libc::AT_SYMLINK_NOFOLLOW,
        )
    })?;
    // SAFETY: no error, so fstatat has filled `stat`.
    let stat = unsafe { stat.assume_init() };
    Ok(Stat { device: stat.st_dev, inode: stat.st_ino, mode: stat.st_mode })
}

/// Removes the entry `name` (no directory) of `directory`.
///
/// # Errors
/// Those of unlinkat(2).
pub(crate) fn unlink_at(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    // SAFETY: `name` ends with a NUL and lives through the call, which writes no memory of ours.
    checked(unsafe { libc::unlinkat(directory.as_raw_fd(), name.as_ptr(), 0) })?;
    Ok(())
}
/// Whether the descriptor can be written to without waiting, now or within `patience`.
///
/// # Errors
/// Those of poll(2).
pub(crate) fn has_room(fd: BorrowedFd<'_>, patience: Duration) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    let millis = libc::c_int::try_from(patience.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: `poll` is the one entry that the call is told of, and ours to write.
    checked(unsafe { libc::poll(&raw mut poll, 1, millis) })?;
    // An error or a reader that is gone makes the write fail, not wait.
    Ok(poll.revents != 0)
}

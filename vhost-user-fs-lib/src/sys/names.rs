// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Names made, moved and removed.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::c_int;

use super::{checked, checked_len};

pub(crate) fn mkdirat(directory: BorrowedFd<'_>, name: &CStr, mode: u32) -> io::Result<()> {
    // SAFETY: `name` ends with a NUL and outlives the call.
    checked(unsafe { libc::mkdirat(directory.as_raw_fd(), name.as_ptr(), mode) })
}

/// `device` is as the kernel encodes it in 32 bits (`new_encode_dev`).
pub(crate) fn mknodat(
    directory: BorrowedFd<'_>,
    name: &CStr,
    mode: u32,
    device: u32,
) -> io::Result<()> {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00));
    let device = libc::makedev(major, minor);
    // SAFETY: `name` ends with a NUL and outlives the call.
    checked(unsafe { libc::mknodat(directory.as_raw_fd(), name.as_ptr(), mode, device) })
}

pub(crate) fn symlinkat(target: &CStr, directory: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let fd = directory.as_raw_fd();
    // SAFETY: both texts end with a NUL and outlive the call.
    checked(unsafe { libc::symlinkat(target.as_ptr(), fd, name.as_ptr()) })
}

/// `flags`: AT_EMPTY_PATH for an empty `from`, or AT_SYMLINK_FOLLOW.
pub(crate) fn linkat(
    from: (BorrowedFd<'_>, &CStr),
    to: (BorrowedFd<'_>, &CStr),
    flags: c_int,
) -> io::Result<()> {
    let (from_fd, from_name) = (from.0.as_raw_fd(), from.1.as_ptr());
    let (to_fd, to_name) = (to.0.as_raw_fd(), to.1.as_ptr());
    // SAFETY: both names end with a NUL and outlive the call.
    checked(unsafe { libc::linkat(from_fd, from_name, to_fd, to_name, flags) })
}

/// `flags`: AT_REMOVEDIR for a directory.
pub(crate) fn unlinkat(directory: BorrowedFd<'_>, name: &CStr, flags: c_int) -> io::Result<()> {
    // SAFETY: `name` ends with a NUL and outlives the call.
    checked(unsafe { libc::unlinkat(directory.as_raw_fd(), name.as_ptr(), flags) })
}

pub(crate) fn renameat2(
    from: (BorrowedFd<'_>, &CStr),
    to: (BorrowedFd<'_>, &CStr),
    flags: u32,
) -> io::Result<()> {
    let (from_fd, from_name) = (from.0.as_raw_fd(), from.1.as_ptr());
    let (to_fd, to_name) = (to.0.as_raw_fd(), to.1.as_ptr());
    // SAFETY: both names end with a NUL and outlive the call.
    let result =
        unsafe { libc::syscall(libc::SYS_renameat2, from_fd, from_name, to_fd, to_name, flags) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The target of the symbolic link that `link` is a descriptor of.
pub(crate) fn readlink(link: BorrowedFd<'_>, out: &mut [u8]) -> io::Result<usize> {
    let (room, len) = (out.as_mut_ptr().cast(), out.len());
    // SAFETY: `room` has `len` writable bytes; the empty name is a constant.
    checked_len(unsafe { libc::readlinkat(link.as_raw_fd(), c"".as_ptr(), room, len) })
}

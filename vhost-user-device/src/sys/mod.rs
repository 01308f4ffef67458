// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! System calls that the standard library has no name for, each behind a safe function.

mod lost;
mod notify;
mod poll;
mod socket;

pub(crate) use lost::{Watch, losses};
pub(crate) use notify::{Eventfd, Notifier};
use poll::has_room;

pub(crate) use poll::{Wait, wait_readable};
#[cfg(test)]
pub(crate) use socket::send_with_fds;
pub(crate) use socket::{MAX_FDS, receive, send};

use std::io;

/// The result of a system call that returns -1 for an error.
fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The result of a system call that returns a length, or -1 for an error.
fn checked_len(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// A file in memory.
#[cfg(test)]
pub(crate) fn memfd(name: &str) -> io::Result<std::fs::File> {
    memfd_with(name, 0)
}

/// A file in memory of huge pages, of which there need not be any.
#[cfg(test)]
pub(crate) fn memfd_of_huge_pages(name: &str) -> io::Result<std::fs::File> {
    memfd_with(name, libc::MFD_HUGETLB)
}

#[cfg(test)]
fn memfd_with(name: &str, flags: libc::c_uint) -> io::Result<std::fs::File> {
    use std::os::fd::{FromRawFd, OwnedFd};

    let name = std::ffi::CString::new(name)?;
    // SAFETY: `name` is a C string that lives through the call.
    let fd = checked(unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | flags) })?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) }.into())
}

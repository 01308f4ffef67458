// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! System calls behind safe functions.

pub(crate) mod attributes;
pub(crate) mod directory;
pub(crate) mod lock;
pub(crate) mod names;
pub(crate) mod open;
pub(crate) mod space;
pub(crate) mod status;
pub(crate) mod thread;
pub(crate) mod xattr;

use std::io;

/// The result of a system call that returns -1 for an error.
fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The result of a system call that returns a length, or -1 for an error.
fn checked_len(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// A number of the client's as the system wants it.
fn signed(number: u64) -> io::Result<libc::off_t> {
    libc::off_t::try_from(number).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

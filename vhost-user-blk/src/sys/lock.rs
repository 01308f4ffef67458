// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Locks on single bytes of a file, which belong to its open file description: they go when
//! nothing uses that any more, an operation of the kernel's for a process that has ended included.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_short, flock, off_t};

/// What to do about the lock on a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// Have it, beside all others that have it.
    Share,
    /// Have it no more.
    Release,
    /// See whether another file description has it.
    Look,
}

/// Does this about the lock on the byte `at` of a file, without waiting. Returns whether another
/// file description has a lock there that stands in the way.
///
/// # Errors
/// What fcntl(2) says, but for EACCES and EAGAIN: those are a lock in the way.
pub(crate) fn lock_byte(file: BorrowedFd<'_>, at: u32, act: Lock) -> io::Result<bool> {
    let (command, kind) = match act {
        Lock::Share => (libc::F_OFD_SETLK, libc::F_RDLCK),
        Lock::Release => (libc::F_OFD_SETLK, libc::F_UNLCK),
        Lock::Look => (libc::F_OFD_GETLK, libc::F_WRLCK),
    };
    let mut range = flock {
        l_type: as_short(kind),
        l_whence: as_short(libc::SEEK_SET),
        l_start: off_t::from(at),
        l_len: 1,
        l_pid: 0,
    };
    // SAFETY: both commands look at one `struct flock`, and one of them writes to it; the last
    // argument points to one.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut range) };
    if result < 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::EACCES | libc::EAGAIN) => Ok(true),
            _ => Err(error),
        };
    }
    Ok(act == Lock::Look && range.l_type != as_short(libc::F_UNLCK))
}

/// The constants are ints that fit.
fn as_short(constant: c_int) -> c_short {
    c_short::try_from(constant).unwrap_or(c_short::MAX)
}

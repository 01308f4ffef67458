// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Notifications by descriptor: eight bytes written make it readable, eight bytes read make it
//! unreadable again.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{checked, checked_len, has_room};

/// An eventfd of our own; reading and writing never block.
#[derive(Debug)]
pub(crate) struct Eventfd(OwnedFd);

impl Eventfd {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = libc::EFD_CLOEXEC | libc::EFD_NONBLOCK;
        // SAFETY: the call takes no pointers.
        let fd = checked(unsafe { libc::eventfd(0, flags) })?;
        // SAFETY: the descriptor is new and nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes it readable.
    pub(crate) fn signal(&self) {
        // It can only fail because the counter is full, and then it is readable.
        let _ = signal(self.0.as_fd());
    }

    /// Makes it unreadable until the next signal.
    pub(crate) fn clear(&self) {
        // It can only fail because there was no signal.
        let _ = drain(self.0.as_fd());
    }
}

impl AsFd for Eventfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Writes the number one, eight bytes, to a notification descriptor, unless there is no room:
/// then it is readable already. The descriptor is the front end's and may be one that blocks.
pub(crate) fn signal(fd: BorrowedFd<'_>) -> io::Result<()> {
    if !has_room(fd)? {
        return Ok(());
    }
    let one = 1_u64.to_ne_bytes();
    // SAFETY: `one` is eight readable bytes.
    checked_len(unsafe { libc::write(fd.as_raw_fd(), one.as_ptr().cast(), one.len()) })?;
    Ok(())
}

/// Reads eight bytes from a notification descriptor, without waiting for them.
pub(crate) fn drain(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut count = [0_u8; 8];
    let into = libc::iovec { iov_base: count.as_mut_ptr().cast(), iov_len: count.len() };
    // The front end may share the descriptor, blocking, and read it between our poll and this.
    // SAFETY: `into` names eight writable bytes.
    let read = unsafe { libc::preadv2(fd.as_raw_fd(), &raw const into, 1, -1, libc::RWF_NOWAIT) };
    match checked_len(read) {
        // Pipes learnt to read without waiting later than eventfds.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            let start = count.as_mut_ptr().cast();
            // SAFETY: `count` is eight writable bytes.
            checked_len(unsafe { libc::read(fd.as_raw_fd(), start, count.len()) })
        }
        result => result,
    }
    .map(drop)
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Notifications by descriptor: eight bytes written make it readable, eight bytes read make it
//! unreadable again.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use super::{checked, checked_len, has_room, receive, send};

/// What is written to make a descriptor readable.
const ONE: u64 = 1;

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

#[cfg(test)]
impl From<Eventfd> for OwnedFd {
    fn from(eventfd: Eventfd) -> Self {
        eventfd.0
    }
}

impl AsFd for Eventfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A notification descriptor of the front end's: kick, call or err.
#[derive(Debug)]
pub(crate) struct Notifier {
    fd: OwnedFd,
    kind: Kind,
}

/// How a descriptor is used without waiting, though the front end may have made it one that waits.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Eventfd,
    Pipe,
    /// What User-Mode Linux calls a pipe.
    Socket,
}

impl Notifier {
    /// `None` if the descriptor cannot be looked at or is of another kind: a file is always
    /// readable, and the rest can make us wait in ways of its own.
    pub(crate) fn new(fd: OwnedFd) -> Option<Self> {
        let file = File::from(fd);
        let kind = match file.metadata().ok()?.mode() & libc::S_IFMT {
            // An eventfd has no file type.
            0 => Kind::Eventfd,
            libc::S_IFIFO => Kind::Pipe,
            libc::S_IFSOCK => Kind::Socket,
            _ => return None,
        };
        Some(Self { fd: file.into(), kind })
    }

    /// Makes it readable, unless there is no room for more: then it is readable already.
    pub(crate) fn signal(&self) {
        let _ = match self.kind {
            Kind::Eventfd => signal(self.fd()),
            Kind::Pipe => write_nowait(self.fd()),
            Kind::Socket => send(self.fd(), &ONE.to_ne_bytes()).map(drop),
        };
    }

    /// Takes a signal. `false` if none can ever come that way.
    pub(crate) fn take(&self) -> bool {
        let taken = match self.kind {
            Kind::Eventfd | Kind::Pipe => drain(self.fd()),
            Kind::Socket => receive(self.fd(), &mut [0; 8], &mut Vec::new()).map(|got| got.len),
        };
        match taken {
            Ok(len) => len != 0,
            Err(error) => {
                matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
            }
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Writes the number one, eight bytes, to an eventfd, unless its counter is full. The front end
/// may have made it one that blocks.
fn signal(fd: BorrowedFd<'_>) -> io::Result<()> {
    if !has_room(fd)? {
        return Ok(());
    }
    let one = ONE.to_ne_bytes();
    // SAFETY: `one` is eight readable bytes.
    checked_len(unsafe { libc::write(fd.as_raw_fd(), one.as_ptr().cast(), one.len()) })?;
    Ok(())
}

/// Writes eight bytes to a pipe, if there is room for them.
fn write_nowait(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut one = ONE.to_ne_bytes();
    let from = libc::iovec { iov_base: one.as_mut_ptr().cast(), iov_len: one.len() };
    // SAFETY: `from` names eight readable bytes.
    let wrote = unsafe { libc::pwritev2(fd.as_raw_fd(), &raw const from, 1, -1, libc::RWF_NOWAIT) };
    match checked_len(wrote) {
        // Pipes learnt to write without waiting later than Linux 6.1.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => signal(fd),
        result => result.map(drop),
    }
}

/// Reads eight bytes from a notification descriptor, without waiting for them.
fn drain(fd: BorrowedFd<'_>) -> io::Result<usize> {
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
}

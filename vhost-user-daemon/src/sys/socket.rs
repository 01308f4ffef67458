// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Unix stream sockets in the steps that the standard library takes at once.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use super::checked;

/// The longest path, in bytes, that a socket address takes: one less than its field, for the NUL.
pub(crate) const LONGEST_PATH: usize = 107;

/// A new Unix stream socket, non-blocking and closed on exec.
///
/// # Errors
/// Those of socket(2).
pub(crate) fn unix_stream() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: socket(2) takes numbers alone.
    let fd = checked(unsafe { libc::socket(libc::AF_UNIX, kind, 0) })?;
    // SAFETY: the kernel has just handed out this descriptor, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives the socket the address `path`, which makes a file of type socket there.
///
/// # Errors
/// Those of bind(2), or `InvalidInput` if the path is no address.
pub(crate) fn bind(socket: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let (address, len) = address(path)?;
    // SAFETY: `address` is an initialised sockaddr_un of at least `len` bytes and only read.
    checked(unsafe { libc::bind(socket.as_raw_fd(), ptr::from_ref(&address).cast(), len) })?;
    Ok(())
}

/// Lets `backlog` connections wait on a bound socket.
///
/// # Errors
/// Those of listen(2).
pub(crate) fn listen(socket: BorrowedFd<'_>, backlog: libc::c_int) -> io::Result<()> {
    // SAFETY: listen(2) takes numbers alone.
    checked(unsafe { libc::listen(socket.as_raw_fd(), backlog) })?;
    Ok(())
}

/// Connects the socket to the listening one at `path`.
///
/// # Errors
/// Those of connect(2): for a non-blocking socket EAGAIN, if the other side's backlog is full;
/// `InvalidInput` if the path is no address.
pub(crate) fn connect(socket: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let (address, len) = address(path)?;
    // SAFETY: `address` is an initialised sockaddr_un of at least `len` bytes and only read.
    checked(unsafe { libc::connect(socket.as_raw_fd(), ptr::from_ref(&address).cast(), len) })?;
    Ok(())
}

/// A socket option of level SOL_SOCKET that is a number: SO_DOMAIN, SO_TYPE, SO_ACCEPTCONN.
///
/// # Errors
/// Those of getsockopt(2): ENOTSOCK, for a descriptor that is no socket.
pub(crate) fn option(socket: BorrowedFd<'_>, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut len: libc::socklen_t = 4;
    // SAFETY: `value` has the `len` (4) bytes that the call may write, and `len` is ours to write.
    checked(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            ptr::from_mut(&mut value).cast(),
            &mut len,
        )
    })?;
    Ok(value)
}

/// Whether the other side will send nothing more, though some of what it has sent may still be
/// there to be read.
///
/// # Errors
/// Those of poll(2).
pub(crate) fn is_hung_up(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let hung_up = libc::POLLRDHUP | libc::POLLHUP;
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: `poll` is the one entry that the call is told of, and ours to write.
    checked(unsafe { libc::poll(&mut poll, 1, 0) })?;
    Ok(poll.revents & hung_up != 0)
}

/// `path` as an address, and how many bytes of it count.
fn address(path: &Path) -> io::Result<(libc::sockaddr_un, libc::socklen_t)> {
    #[expect(clippy::cast_possible_truncation, reason = "the constant 1, in two types")]
    const FAMILY: libc::sa_family_t = libc::AF_UNIX as libc::sa_family_t;
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() || bytes.len() > LONGEST_PATH || bytes.contains(&0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut address = libc::sockaddr_un { sun_family: FAMILY, sun_path: [0; LONGEST_PATH + 1] };
    for (to, &from) in address.sun_path.iter_mut().zip(bytes) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    let len = size_of::<libc::sa_family_t>() + bytes.len() + 1;
    let len = libc::socklen_t::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok((address, len))
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Bytes and descriptors over a Unix socket, without waiting.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use super::checked_len;

/// The most descriptors in one message: what the `vhost` crate and libvhost-user stay below, too.
pub(crate) const MAX_FDS: usize = 32;

/// As many descriptors as come with one call on Linux (SCM_MAX_FD): those for which there is no
/// room the kernel closes, and that may take its time.
const MOST_AT_ONCE: usize = 253;

/// Room for the control message of [`MOST_AT_ONCE`] descriptors, aligned as the kernel wants it.
#[repr(C)]
union Control {
    header: libc::cmsghdr,
    bytes: [u8; size_of::<libc::cmsghdr>() + MOST_AT_ONCE * size_of::<RawFd>()],
}

/// What [`receive`] brought.
#[derive(Debug)]
pub(crate) struct Received {
    /// How many bytes; zero means that the other side hung up.
    pub(crate) len: usize,
    /// Whether descriptors were lost, because there were more than can be taken.
    pub(crate) truncated: bool,
}

/// Receives up to `into.len()` bytes and the descriptors that come with them.
///
/// Errors with `WouldBlock` if there is nothing yet.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    into: &mut [u8],
    fds: &mut Vec<OwnedFd>,
) -> io::Result<Received> {
    let mut bytes = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: all of these are plain data, for which zeroes are valid.
    let mut control: Control = unsafe { zeroed() };
    // SAFETY: as above.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut bytes;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>();
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: `message` names `into` and `control` with their lengths; both outlive the call.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let len = checked_len(received)?;
    take_descriptors(&message, fds);
    Ok(Received { len, truncated: message.msg_flags & libc::MSG_CTRUNC != 0 })
}

/// Takes over the descriptors in the control messages of a received message.
fn take_descriptors(message: &libc::msghdr, fds: &mut Vec<OwnedFd>) {
    // SAFETY: recvmsg has filled in the message, and its control buffer is still there.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: the macros return null or a whole header within the control buffer.
        let libc::cmsghdr { cmsg_level, cmsg_type, cmsg_len } = unsafe { *header };
        if (cmsg_level, cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: the header is whole, so its data begins right behind it.
            let data = unsafe { libc::CMSG_DATA(header) };
            let count = cmsg_len.saturating_sub(data.addr() - header.addr()) / size_of::<RawFd>();
            for index in 0..count {
                // SAFETY: the kernel wrote `count` descriptors there, perhaps unaligned.
                let fd = unsafe { data.cast::<RawFd>().wrapping_add(index).read_unaligned() };
                // SAFETY: the kernel made the descriptor for us with this message.
                let fd = unsafe { OwnedFd::from_raw_fd(fd) };
                close_without_waiting(fd.as_fd());
                fds.push(fd);
            }
        }
        // SAFETY: as for CMSG_FIRSTHDR.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
}

/// A socket may be set to wait in close until its data has arrived somewhere. Ours must not.
fn close_without_waiting(fd: BorrowedFd<'_>) {
    let linger = libc::linger { l_onoff: 0, l_linger: 0 };
    let len = libc::socklen_t::try_from(size_of::<libc::linger>()).unwrap_or(0);
    let value = (&raw const linger).cast();
    // What is not a socket says so, and is as it was.
    // SAFETY: `value` points to `len` readable bytes.
    unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, value, len) };
}

/// Ends a connection and takes out what is left in it: descriptors among it would be closed with
/// the socket, and that may take its time.
pub(crate) fn hang_up(socket: &UnixStream) {
    // Nothing more comes from here on. The other side may have done the same.
    let _ = socket.shutdown(Shutdown::Both);
    let mut bytes = [0; 4096];
    let mut fds = Vec::new();
    while receive(socket.as_fd(), &mut bytes, &mut fds).is_ok_and(|received| received.len != 0) {
        fds.clear();
    }
}

/// Sends bytes, as many as fit at once. Errors with `WouldBlock` if none do. A front end that has
/// gone is an error, not a signal.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `bytes` are readable for their length.
    checked_len(unsafe {
        libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags)
    })
}

/// Sends bytes, as many as fit at once, and descriptors with the first of them. Errors with
/// `WouldBlock` if nothing was sent.
pub(crate) fn send_with_fds(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let data = fds.iter().flat_map(|fd| fd.as_raw_fd().to_ne_bytes());
    let len = size_of::<libc::cmsghdr>() + size_of_val(fds);
    let kind = [libc::SOL_SOCKET, libc::SCM_RIGHTS];
    let header = len.to_ne_bytes().into_iter().chain(kind.into_iter().flat_map(i32::to_ne_bytes));
    let mut control: Vec<u8> = header.chain(data).collect();
    control.resize(control.len().next_multiple_of(8), 0);
    // Aligned as the kernel wants it.
    let (words, _) = control.as_chunks();
    let mut control: Vec<u64> = words.iter().map(|word| u64::from_ne_bytes(*word)).collect();
    let mut bytes =
        libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: the structure is plain data, for which zeroes are valid.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut bytes;
    message.msg_iovlen = 1;
    if !fds.is_empty() {
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(control.as_slice());
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: `message` names `bytes` and `control`, which outlive the call and are only read.
    checked_len(unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, flags) })
}

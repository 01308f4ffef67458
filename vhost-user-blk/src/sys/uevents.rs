// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The socket by which the kernel tells what happens to its devices.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use libc::{AF_NETLINK, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, sockaddr, sockaddr_nl, socklen_t};

/// The group to which the kernel itself speaks; another one is for what udev has made of it.
const OF_THE_KERNEL: u32 = 1;

/// A socket that becomes readable with each event of any device. Each read takes one message, and
/// none waits.
///
/// # Errors
/// What socket(2) and bind(2) say.
pub(crate) fn uevents() -> io::Result<File> {
    let kind = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    // SAFETY: the call takes three numbers and no memory of ours.
    let fd = unsafe { libc::socket(AF_NETLINK, kind, libc::NETLINK_KOBJECT_UEVENT) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made for us, and nobody else knows its number.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: it is plain numbers, for which zeroes are values.
    let mut address: sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::sa_family_t::try_from(AF_NETLINK).unwrap_or_default();
    address.nl_groups = OF_THE_KERNEL;
    let len = socklen_t::try_from(size_of::<sockaddr_nl>()).unwrap_or_default();
    let start = (&raw const address).cast::<sockaddr>();
    // SAFETY: `start` points to an address of `len` bytes, which the call only reads.
    let result = unsafe { libc::bind(socket.as_raw_fd(), start, len) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(File::from(socket))
}

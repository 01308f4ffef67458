// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Descriptors of kinds that nobody would pass to a back end in earnest.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::{check, owned};

/// A memory file of `len` bytes with these `seals`, such as F_SEAL_SHRINK.
pub(crate) fn sealed_memfd(name: &CStr, len: u64, seals: i32) -> io::Result<File> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is a C string; the call touches no other memory of ours.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), flags) };
    let file = File::from(owned(fd)?);
    file.set_len(len)?;
    // SAFETY: the call takes numbers only.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
    Ok(file)
}

/// Gives the pages of `len` bytes from `offset` back; they read as zeroes then.
pub(crate) fn punch_hole(file: &File, offset: i64, len: i64) -> io::Result<()> {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: the call takes numbers only.
    check(unsafe { libc::fallocate(file.as_raw_fd(), mode, offset, len) }).map(drop)
}

/// An event counter that has `count` in it, with flags such as EFD_SEMAPHORE.
pub(crate) fn eventfd_at(count: u32, flags: i32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes numbers only.
    owned(unsafe { libc::eventfd(count, libc::EFD_CLOEXEC | flags) })
}

/// An epoll instance that watches nothing.
pub(crate) fn epoll() -> io::Result<OwnedFd> {
    // SAFETY: the call takes numbers only.
    owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })
}

/// A timer that never expires.
pub(crate) fn timerfd() -> io::Result<OwnedFd> {
    // SAFETY: the call takes numbers only.
    owned(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) })
}

/// A watch over no files.
pub(crate) fn inotify() -> io::Result<OwnedFd> {
    // SAFETY: the call takes numbers only.
    owned(unsafe { libc::inotify_init1(libc::IN_CLOEXEC) })
}

/// A descriptor of `path` that can neither be read nor be written: O_PATH.
pub(crate) fn path_only(path: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: the path is a C string.
    owned(unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) })
}

/// A socket of any type, such as SOCK_SEQPACKET, connected to nobody.
pub(crate) fn unix_socket(kind: i32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes numbers only.
    owned(unsafe { libc::socket(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0) })
}

/// Whether reading and writing wait is said for `file`.
pub(crate) fn set_nonblocking(file: &impl AsFd, nonblocking: bool) -> io::Result<()> {
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: the call takes numbers only.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    let flags = if nonblocking { flags | libc::O_NONBLOCK } else { flags & !libc::O_NONBLOCK };
    // SAFETY: the call takes numbers only.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags) }).map(drop)
}

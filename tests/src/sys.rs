// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Shared memory, and the system calls that std has no call for. Only safe wrappers go out.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

mod filter;
mod limit;
mod mount;
mod odd;
mod thread;

pub(crate) use filter::refuse;
pub(crate) use limit::{limit_file_size, linger};
pub(crate) use mount::{bind, mount, own_mounts, unmount};
pub(crate) use odd::{
    epoll, eventfd_at, inotify, path_only, punch_hole, sealed_memfd, set_nonblocking, timerfd,
    unix_socket,
};
pub(crate) use thread::{resume_thread, stop_thread};

/// As many descriptors as one message may carry on Linux (SCM_MAX_FD).
pub(crate) const MAX_DESCRIPTORS: usize = 253;

/// The header of a control message: its length, level and type, padded to a machine word.
const CONTROL_HEADER: usize = size_of::<libc::cmsghdr>().next_multiple_of(size_of::<usize>());

/// A new memory file of `len` zero bytes. The kernel shows `name` in the list of mappings.
pub(crate) fn memfd(name: &CStr, len: u64) -> io::Result<File> {
    // SAFETY: the name is a C string; the call touches no other memory of ours.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    let file = File::from(owned(fd)?);
    file.set_len(len)?;
    Ok(file)
}

/// A new memory file of `len` zero bytes in huge pages of [`HUGE_PAGE`] bytes.
///
/// # Errors
/// `len` is not a whole number of such pages, or the kernel has none.
pub(crate) fn huge_memfd(name: &CStr, len: u64) -> io::Result<File> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_HUGETLB | libc::MFD_HUGE_2MB;
    // SAFETY: the name is a C string; the call touches no other memory of ours.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), flags) };
    let file = File::from(owned(fd)?);
    file.set_len(len)?;
    Ok(file)
}

/// The size of the pages of [`huge_memfd`], in bytes.
pub(crate) const HUGE_PAGE: u64 = 2 << 20;

/// The size of all other pages, in bytes.
pub(crate) const SMALL_PAGE: u64 = 4096;

/// A new event counter that never blocks.
pub(crate) fn eventfd() -> io::Result<File> {
    // SAFETY: the call takes numbers only.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    Ok(File::from(owned(fd)?))
}

/// A descriptor that is readable when the process `pid` has ended.
pub(crate) fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes numbers only.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    owned(RawFd::try_from(fd).map_err(io::Error::other)?)
}

/// Sends `signal` to the process `pid`.
pub(crate) fn kill(pid: u32, signal: i32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: the call takes numbers only.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Waits until one of `fds` has one of `events`, an error or a hang-up, and says which was first in
/// the list; `None` when the time is over.
pub(crate) fn poll(
    fds: &[BorrowedFd<'_>],
    events: i16,
    timeout: Duration,
) -> io::Result<Option<usize>> {
    let entry = |fd: &BorrowedFd<'_>| libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    let mut entries: Vec<libc::pollfd> = fds.iter().map(entry).collect();
    let count = libc::nfds_t::try_from(entries.len()).map_err(io::Error::other)?;
    let timeout = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    // SAFETY: `entries` are `count` pollfds, which the call may write.
    check(unsafe { libc::poll(entries.as_mut_ptr(), count, timeout) })?;
    Ok(entries.iter().position(|entry| entry.revents != 0))
}

/// Sends `bytes` with `descriptors` attached to the first of them; returns how many were taken.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut control = Control::of(descriptors);
    let mut iovec =
        libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut message = empty_message();
    message.msg_iov = &raw mut iovec;
    message.msg_iovlen = 1;
    if !descriptors.is_empty() {
        message.msg_control = control.words.as_mut_ptr().cast();
        message.msg_controllen = control.len;
    }
    // SAFETY: the message points to `iovec`, `bytes` and `control`, which outlive the call; it
    // reads `bytes` and does not write to them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    usize::try_from(sent).map_err(|_negative| io::Error::last_os_error())
}

/// Receives at most `bytes.len()` bytes and the descriptors that came with them; 0 is the end.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut control = Control::room();
    let mut iovec = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut message = empty_message();
    message.msg_iov = &raw mut iovec;
    message.msg_iovlen = 1;
    message.msg_control = control.words.as_mut_ptr().cast();
    message.msg_controllen = control.len;
    let flags = libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the message points to `iovec`, `bytes` and `control`, which outlive the call and
    // which nobody else uses meanwhile.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let received = usize::try_from(received).map_err(|_negative| io::Error::last_os_error())?;
    Ok((received, control.take(message.msg_controllen)?))
}

/// The control part of a message, aligned as its header wants it.
struct Control {
    words: Vec<usize>,
    len: usize,
}

impl Control {
    fn room() -> Self {
        let len = CONTROL_HEADER + MAX_DESCRIPTORS * size_of::<RawFd>();
        Self { words: vec![0; len.div_ceil(size_of::<usize>())], len }
    }

    /// One SCM_RIGHTS message with `descriptors`.
    fn of(descriptors: &[BorrowedFd<'_>]) -> Self {
        assert!(descriptors.len() <= MAX_DESCRIPTORS, "more descriptors than one message carries");
        let len = CONTROL_HEADER + size_of_val(descriptors);
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend(libc::SOL_SOCKET.to_ne_bytes());
        bytes.extend(libc::SCM_RIGHTS.to_ne_bytes());
        bytes.resize(CONTROL_HEADER, 0);
        bytes.extend(descriptors.iter().flat_map(|fd| fd.as_raw_fd().to_ne_bytes()));
        bytes.resize(len.next_multiple_of(size_of::<usize>()), 0);
        let (words, _) = bytes.as_chunks();
        Self { words: words.iter().map(|word| usize::from_ne_bytes(*word)).collect(), len }
    }

    /// Takes over the descriptors that the kernel put here, `filled` bytes with the header.
    fn take(self, filled: usize) -> io::Result<Vec<OwnedFd>> {
        let bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        // It begins with its length; what was filled goes on to the end of a word.
        let len = self.words[0].min(filled);
        let numbers = bytes.get(CONTROL_HEADER..len).unwrap_or_default();
        let (numbers, _) = numbers.as_chunks();
        numbers.iter().map(|number| owned(RawFd::from_ne_bytes(*number))).collect()
    }
}

fn empty_message() -> libc::msghdr {
    // SAFETY: all zeroes is a valid msghdr: null pointers with zero lengths.
    unsafe { std::mem::zeroed() }
}

/// Takes over a descriptor that the kernel just made for us, or its error.
fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    let fd = check(fd)?;
    // SAFETY: the caller just got it from the kernel and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A file mapped shared into our memory, for as long as the value lives.
///
/// Another process reads and writes the same memory, so no reference to it ever goes out.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// Where the kernel put the pages that have the bytes, and how long they are.
    pages: (NonNull<u8>, usize),
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread.
unsafe impl Send for Mapping {}
// SAFETY: all access is by copies and atomics, never by references.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of `file`, from `offset`, for reading and writing.
    pub(crate) fn new(file: &File, offset: u64, len: usize) -> io::Result<Self> {
        Self::in_pages(file, offset, len, SMALL_PAGE)
    }

    /// The same of a file that has pages of `page` bytes, a power of two; the range may begin and
    /// end within one.
    pub(crate) fn in_pages(file: &File, offset: u64, len: usize, page: u64) -> io::Result<Self> {
        let before = offset % page;
        let first = libc::off_t::try_from(offset - before).map_err(io::Error::other)?;
        let [before, page] = [before, page].map(usize::try_from);
        let (before, page) = (before.map_err(io::Error::other)?, page.map_err(io::Error::other)?);
        let whole = (before + len).next_multiple_of(page);
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let (hint, shared) = (std::ptr::null_mut(), libc::MAP_SHARED);
        // SAFETY: without MAP_FIXED the kernel picks a free place, so no mapping of ours changes.
        let pages = unsafe { libc::mmap(hint, whole, access, shared, file.as_raw_fd(), first) };
        if pages == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let pages = NonNull::new(pages.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: `before` is less than the length of the mapping.
        let start = unsafe { pages.add(before) };
        Ok(Self { pages: (pages, whole), start, len })
    }

    /// Its first address.
    pub(crate) fn address(&self) -> usize {
        self.start.as_ptr().expose_provenance()
    }

    /// Copies `out.len()` bytes from `offset` to `out`. Panics beyond the end.
    pub(crate) fn read(&self, offset: usize, out: &mut [u8]) {
        let from = self.at(offset, out.len());
        // SAFETY: `at` checked that the bytes lie in the mapping; `out` is not in it.
        unsafe { std::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) }
    }

    /// Copies `bytes` to `offset`. Panics beyond the end.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        let to = self.at(offset, bytes.len());
        // SAFETY: `at` checked that the bytes lie in the mapping; `bytes` is not in it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) }
    }

    /// Reads a number that the other side may be writing.
    pub(crate) fn load(&self, offset: usize) -> u16 {
        u16::from_le(self.atomic(offset).load(Ordering::SeqCst))
    }

    /// Writes a number that the other side may be reading; all that was written before is seen
    /// before it.
    pub(crate) fn store(&self, offset: usize, value: u16) {
        self.atomic(offset).store(value.to_le(), Ordering::SeqCst);
    }

    /// Takes all bits of the eight bytes at `offset` away; which of them were set.
    pub(crate) fn take_bits(&self, offset: usize) -> u64 {
        let at = self.at(offset, size_of::<u64>());
        assert!(at.addr().is_multiple_of(8), "eight bytes at the offset {offset}");
        // SAFETY: they lie in the mapping, which lives as long as `self`, and are aligned;
        // concurrent access by other processes is what they are for.
        let bits = unsafe { AtomicU64::from_ptr(at.cast()) };
        u64::from_le(bits.swap(0, Ordering::SeqCst))
    }

    fn atomic(&self, offset: usize) -> &AtomicU16 {
        let at = self.at(offset, size_of::<u16>());
        assert!(at.addr().is_multiple_of(2), "a number of two bytes at the odd offset {offset}");
        // SAFETY: it lies in the mapping, which lives as long as `self`, and it is aligned;
        // concurrent access by other processes is what it is for.
        unsafe { AtomicU16::from_ptr(at.cast()) }
    }

    fn at(&self, offset: usize, len: usize) -> *mut u8 {
        let end = offset.checked_add(len).expect("the end of an access to guest memory");
        assert!(end <= self.len, "{len} bytes at {offset} of a mapping of {}", self.len);
        // SAFETY: `offset` is at most the length of the mapping.
        unsafe { self.start.as_ptr().add(offset) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let (pages, len) = self.pages;
        // SAFETY: the mapping is ours, and since `self` goes nothing points to it any more.
        let unmapped = unsafe { libc::munmap(pages.as_ptr().cast(), len) };
        debug_assert_eq!(unmapped, 0, "unmap guest memory");
    }
}

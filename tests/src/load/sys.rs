// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Shared memory that is looked at millions of times a second. Only safe wrappers go out.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};

use super::pattern::Words;
use crate::memory::Buffer;

/// A buffer of guest memory, with its fields as atomics: no copy, no system call, no lock.
///
/// Offsets are in bytes from its beginning. All calls panic beyond its end.
#[derive(Debug)]
pub(super) struct Area {
    start: NonNull<u8>,
    buffer: Buffer,
}

// SAFETY: the memory belongs to the process, not to a thread.
unsafe impl Send for Area {}
// SAFETY: all access is by atomics and copies, never by references to plain bytes.
unsafe impl Sync for Area {}

impl Area {
    /// All of `buffer`, which must lie in one region.
    pub(super) fn new(buffer: Buffer) -> Self {
        let start = ptr::with_exposed_provenance_mut(buffer.host_address());
        let start = NonNull::new(start).expect("a mapping is not at address zero");
        Self { start, buffer }
    }

    /// The guest address of its byte at `offset`.
    pub(super) fn address(&self, offset: usize) -> u64 {
        self.buffer.address() + u64::try_from(offset).expect("an offset in 64 bits")
    }

    pub(super) fn byte(&self, offset: usize) -> &AtomicU8 {
        let at = self.at::<u8>(offset, 1);
        // SAFETY: `at` checked that it lies in the buffer, which lives as long as `self`; the other
        // side's access is what the memory is for.
        unsafe { AtomicU8::from_ptr(at) }
    }

    pub(super) fn u16(&self, offset: usize) -> &AtomicU16 {
        let at = self.aligned(offset);
        // SAFETY: as for a byte, and it is aligned.
        unsafe { AtomicU16::from_ptr(at) }
    }

    pub(super) fn u32(&self, offset: usize) -> &AtomicU32 {
        let at = self.aligned(offset);
        // SAFETY: as for a byte, and it is aligned.
        unsafe { AtomicU32::from_ptr(at) }
    }

    pub(super) fn u64(&self, offset: usize) -> &AtomicU64 {
        let at = self.aligned(offset);
        // SAFETY: as for a byte, and it is aligned.
        unsafe { AtomicU64::from_ptr(at) }
    }

    /// Writes `words` from `offset`, aligned or not.
    pub(super) fn fill(&self, offset: usize, words: Words) {
        let at = self.at::<u64>(offset, words.count() * size_of::<u64>());
        for (i, word) in words.enumerate() {
            // SAFETY: the word lies among those that `at` checked.
            let to = unsafe { at.add(i) };
            // SAFETY: it lies in the buffer; the device reads it only after it was told to.
            unsafe { to.write_unaligned(word) };
        }
    }

    /// Whether the words from `offset`, aligned or not, are these.
    pub(super) fn has(&self, offset: usize, words: Words) -> bool {
        let at = self.at::<u64>(offset, words.count() * size_of::<u64>());
        // All of them, without a way out in between: so the compiler takes several at once.
        let differences = words.enumerate().fold(0, |differences, (i, word)| {
            // SAFETY: the word lies among those that `at` checked.
            let from = unsafe { at.add(i) };
            // SAFETY: it lies in the buffer; the device wrote it before it gave the request back.
            let found = unsafe { from.read_unaligned() };
            differences | (found ^ word)
        });
        differences == 0
    }

    /// pread(2) of `len` bytes at `position` of `file`, to `offset`; how many there were.
    pub(super) fn pread(
        &self,
        offset: usize,
        len: usize,
        file: &File,
        position: u64,
    ) -> io::Result<usize> {
        let to = self.at::<libc::c_void>(offset, len);
        let position = libc::off_t::try_from(position).map_err(io::Error::other)?;
        // SAFETY: `at` checked that `to` points to `len` bytes of the buffer.
        let read = unsafe { libc::pread(file.as_raw_fd(), to, len, position) };
        usize::try_from(read).map_err(|_negative| io::Error::last_os_error())
    }

    fn aligned<T>(&self, offset: usize) -> *mut T {
        let at = self.at::<T>(offset, size_of::<T>());
        assert!(at.is_aligned(), "an aligned field at {offset}");
        at
    }

    fn at<T>(&self, offset: usize, len: usize) -> *mut T {
        let left = self.buffer.len().checked_sub(offset);
        assert!(left.is_some_and(|left| len <= left), "{len} bytes at {offset} of a buffer");
        // SAFETY: `offset` is at most the length of the buffer.
        let at = unsafe { self.start.add(offset) };
        at.cast().as_ptr()
    }
}

/// Makes reading `file` wait until there is something; whoever has the same file is meant, too.
pub(super) fn let_wait(file: &File) -> io::Result<()> {
    let fd = file.as_raw_fd();
    // SAFETY: the call takes numbers only.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    // SAFETY: the call takes numbers only.
    let set = unsafe { libc::fcntl(fd, libc::F_SETFL, flags & !libc::O_NONBLOCK) };
    if flags < 0 || set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Has the kernel forget what it has of `file` in memory, as far as that is on the disk.
pub(super) fn forget(file: &File) -> io::Result<()> {
    // SAFETY: the call takes numbers only.
    let error = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// How many ticks of processor time in `/proc` are a second.
pub(super) fn ticks_per_second() -> f64 {
    // SAFETY: the call takes a number only.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u32::try_from(ticks).map_or(100.0, f64::from)
}

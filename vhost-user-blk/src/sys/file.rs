// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Files that are more than the standard library knows: in memory alone, or past the page cache.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// What transfers past the page cache have to be multiples of, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DirectAlignment {
    /// The addresses of memory.
    pub(crate) memory: u32,
    /// Offset and length of a write. A read may be allowed more.
    pub(crate) offset: u32,
}

/// What the file system says about transfers of `file` past the page cache: `None` if it says
/// nothing (before Linux 6.1, or because nobody has taught it to), zeroes if there are none.
///
/// # Errors
/// What statx(2) says.
pub(crate) fn direct_alignment(file: BorrowedFd<'_>) -> io::Result<Option<DirectAlignment>> {
    // SAFETY: it is plain numbers, for which zeroes are values.
    let mut said: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the path is empty and ends with its zero, so that the call is about the descriptor;
    // it writes one `struct statx` to its last argument, which points to one.
    let result = unsafe {
        libc::statx(
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_DIOALIGN,
            &raw mut said,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let (memory, offset) = (said.stx_dio_mem_align, said.stx_dio_offset_align);
    let there = said.stx_mask & libc::STATX_DIOALIGN != 0;
    Ok(there.then_some(DirectAlignment { memory, offset }))
}

/// Whether a file's bytes are in memory and nowhere else: whether its file system is tmpfs or ramfs.
///
/// # Errors
/// What fstatfs(2) says.
pub(crate) fn is_in_memory(file: BorrowedFd<'_>) -> io::Result<bool> {
    const RAMFS_MAGIC: i64 = 0x8584_58f6;
    // SAFETY: it is plain numbers, for which zeroes are values.
    let mut said: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes one `struct statfs` to its argument, which points to one.
    let result = unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut said) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok([libc::TMPFS_MAGIC, RAMFS_MAGIC].contains(&said.f_type))
}

/// A file that is in memory alone and has no path, of no bytes yet.
///
/// # Errors
/// What memfd_create(2) says.
pub(crate) fn memory_file() -> io::Result<File> {
    // SAFETY: the name is a string that ends with its zero; the call looks at nothing else.
    let fd = unsafe { libc::memfd_create(c"vhost-user-blk".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made for us, and nobody else knows its number.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn file_of_memory_is_in_memory_and_a_process_is_not() {
        assert!(is_in_memory(memory_file().unwrap().as_fd()).unwrap());
        let other = File::open("/proc/self/status").unwrap();
        assert!(!is_in_memory(other.as_fd()).unwrap());
    }

    #[test]
    fn alignment_of_a_file_that_has_none_is_not_known() {
        let other = File::open("/proc/self/status").unwrap();
        assert_eq!(direct_alignment(other.as_fd()).unwrap(), None);
    }
}

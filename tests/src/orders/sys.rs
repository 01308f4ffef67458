// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What fcntl(2) tells of descriptors. Only safe wrappers go out.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd};

/// The seals of a memory file; `None` for a file that can have none.
pub(super) fn seals(fd: BorrowedFd<'_>) -> Option<u32> {
    // SAFETY: the call takes and returns numbers only.
    let seals = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) };
    u32::try_from(seals).ok()
}

/// Adds seals to a memory file.
pub(super) fn seal(fd: BorrowedFd<'_>, seals: u32) -> io::Result<()> {
    // SAFETY: the call takes numbers only.
    match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, seals) } {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether the descriptor was opened for writing only: the writing end of a pipe.
pub(super) fn is_write_only(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: the call takes and returns numbers only.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    flags & libc::O_ACCMODE == libc::O_WRONLY
}

/// Whether the file is made of huge pages.
pub(super) fn is_huge(fd: BorrowedFd<'_>) -> bool {
    let mut about = std::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the call writes one `statfs`, for which there is room.
    let failed = unsafe { libc::fstatfs(fd.as_raw_fd(), about.as_mut_ptr()) } != 0;
    // SAFETY: all zeroes is a valid `statfs`, and so is what the call has written.
    let about = unsafe { about.assume_init() };
    !failed && about.f_type == libc::HUGETLBFS_MAGIC
}

/// A new memory file of `len` zero bytes, none of which is allocated yet, that can be sealed.
pub(super) fn sealable_memfd(len: u64) -> io::Result<File> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is a C string; the call touches no other memory of ours.
    let fd = unsafe { libc::memfd_create(c"guest-memory".as_ptr(), flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made it for us and nobody else knows it.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len(len)?;
    Ok(file)
}

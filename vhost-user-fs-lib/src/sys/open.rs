// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Ways to a descriptor: by name, by handle, by another descriptor.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use libc::c_int;

/// `struct open_how` (openat2(2)).
#[repr(C)]
struct How {
    flags: u64,
    mode: u64,
    resolve: u64,
}

const BENEATH: u64 =
    libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS | libc::RESOLVE_NO_SYMLINKS;

/// The words of a `struct file_handle`: bytes, type, and the bytes themselves, filled up with zeroes.
const WORDS: usize = 2 + libc::MAX_HANDLE_SZ.unsigned_abs() as usize / 4;

/// A handle as the kernel has written it (name_to_handle_at(2)).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written([u32; WORDS]);

impl Written {
    /// The words of `struct file_handle`, so many as the handle has.
    pub(crate) fn words(&self) -> &[u32] {
        let bytes = self.0[0].min(libc::MAX_HANDLE_SZ.unsigned_abs());
        let words = usize::try_from(bytes.div_ceil(4)).map_or(WORDS, |words| words + 2);
        self.0.get(..words).unwrap_or(&self.0)
    }
}

/// Opens what `name` means in `directory` itself: below it, through no link.
pub(crate) fn open_beneath(
    directory: BorrowedFd<'_>,
    name: &CStr,
    flags: c_int,
    mode: u32,
) -> io::Result<OwnedFd> {
    let flags = u64::from((flags | libc::O_CLOEXEC).unsigned_abs());
    let how = How { flags, mode: u64::from(mode), resolve: BENEATH };
    let (fd, name, size) = (directory.as_raw_fd(), name.as_ptr(), size_of::<How>());
    // SAFETY: `name` ends with a NUL and `how` has `size` bytes; both outlive the call.
    owned_long(unsafe { libc::syscall(libc::SYS_openat2, fd, name, &raw const how, size) })
}

/// Opens `name` in `directory`, by openat(2) as it is. The name is none of the client's.
pub(crate) fn open_at(
    directory: BorrowedFd<'_>,
    name: &CStr,
    flags: c_int,
    mode: u32,
) -> io::Result<OwnedFd> {
    let flags = flags | libc::O_CLOEXEC;
    // SAFETY: `name` ends with a NUL and outlives the call.
    owned(unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), flags, mode) })
}

/// Opens what a handle names, in the file system of `mount`. `handle` are the words of [`Written`].
pub(crate) fn open_by_handle(
    mount: BorrowedFd<'_>,
    handle: &[u32],
    flags: c_int,
) -> io::Result<OwnedFd> {
    let whole = handle.first().is_some_and(|bytes| {
        usize::try_from(bytes.div_ceil(4)).is_ok_and(|words| handle.len() >= words + 2)
    });
    if !whole {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let (fd, flags) = (mount.as_raw_fd(), flags | libc::O_CLOEXEC);
    let handle = handle.as_ptr();
    // SAFETY: `handle` has at least so many bytes as it says, which was seen above; it is only read.
    owned_long(unsafe { libc::syscall(libc::SYS_open_by_handle_at, fd, handle, flags) })
}

/// The handle of what `name` is in `directory`, or with an empty name of `directory` itself, and the
/// number of the mount.
pub(crate) fn name_to_handle(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<(Written, u64)> {
    let mut handle = [0_u32; WORDS];
    handle[0] = libc::MAX_HANDLE_SZ.unsigned_abs();
    let mut mount: c_int = 0;
    let (fd, name, out) = (directory.as_raw_fd(), name.as_ptr(), handle.as_mut_ptr());
    let (mount_out, flags) = (&raw mut mount, libc::AT_EMPTY_PATH);
    // SAFETY: `name` ends with a NUL; `out` has room for the bytes that it says; all outlive the call.
    let result =
        unsafe { libc::syscall(libc::SYS_name_to_handle_at, fd, name, out, mount_out, flags) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((Written(handle), u64::from(mount.cast_unsigned())))
}

/// Another descriptor of the same open file.
pub(crate) fn duplicate(file: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: the call takes a number alone.
    owned(unsafe { libc::dup(file.as_raw_fd()) })
}

fn owned_long(result: libc::c_long) -> io::Result<OwnedFd> {
    owned(RawFd::try_from(result).unwrap_or(-1))
}

fn owned(result: RawFd) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(result) })
}

/// AT_FDCWD: names that begin elsewhere than with a `/` are those of the current directory.
// SAFETY: it is no descriptor that could be closed, and not -1.
pub(crate) const CURRENT_DIRECTORY: BorrowedFd<'static> =
    unsafe { BorrowedFd::borrow_raw(libc::AT_FDCWD) };

/// Closes a descriptor. The error is one of writing earlier; it is closed in any case.
pub(crate) fn close(fd: OwnedFd) -> io::Result<()> {
    // SAFETY: the descriptor was given to us, and nobody else closes it.
    super::checked(unsafe { libc::close(fd.into_raw_fd()) })
}

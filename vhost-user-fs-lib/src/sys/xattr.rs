// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Extended attributes: of an open file, and of what a name means.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::c_int;

use super::{checked, checked_len};

/// Whose attributes are meant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of<'f> {
    /// Those of an open file.
    File(BorrowedFd<'f>),
    /// Those of what a path leads to, links followed. The path is none of the client's.
    Path(&'f CStr),
}

pub(crate) fn get(of: Of<'_>, name: &CStr, out: &mut [u8]) -> io::Result<usize> {
    let (name, room, len) = (name.as_ptr(), out.as_mut_ptr().cast(), out.len());
    checked_len(match of {
        // SAFETY: `name` ends with a NUL, `room` has `len` writable bytes.
        Of::File(file) => unsafe { libc::fgetxattr(file.as_raw_fd(), name, room, len) },
        // SAFETY: the same, and the path ends with a NUL.
        Of::Path(path) => unsafe { libc::getxattr(path.as_ptr(), name, room, len) },
    })
}

pub(crate) fn list(of: Of<'_>, out: &mut [u8]) -> io::Result<usize> {
    let (room, len) = (out.as_mut_ptr().cast(), out.len());
    checked_len(match of {
        // SAFETY: `room` has `len` writable bytes.
        Of::File(file) => unsafe { libc::flistxattr(file.as_raw_fd(), room, len) },
        // SAFETY: the same, and the path ends with a NUL.
        Of::Path(path) => unsafe { libc::listxattr(path.as_ptr(), room, len) },
    })
}

pub(crate) fn set(of: Of<'_>, name: &CStr, value: &[u8], flags: c_int) -> io::Result<()> {
    let (name, value, len) = (name.as_ptr(), value.as_ptr().cast(), value.len());
    checked(match of {
        // SAFETY: `name` ends with a NUL, `value` has `len` bytes.
        Of::File(file) => unsafe { libc::fsetxattr(file.as_raw_fd(), name, value, len, flags) },
        // SAFETY: the same, and the path ends with a NUL.
        Of::Path(path) => unsafe { libc::setxattr(path.as_ptr(), name, value, len, flags) },
    })
}

pub(crate) fn remove(of: Of<'_>, name: &CStr) -> io::Result<()> {
    checked(match of {
        // SAFETY: `name` ends with a NUL.
        Of::File(file) => unsafe { libc::fremovexattr(file.as_raw_fd(), name.as_ptr()) },
        // SAFETY: the same, and the path ends with a NUL.
        Of::Path(path) => unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) },
    })
}

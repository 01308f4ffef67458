// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! How a request fails.

use std::io;

/// What an operation of a file system returns.
pub type Result<T> = std::result::Result<T, Failure>;

/// Why a request was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The client gets this error number of Linux, 1 to 4095.
    #[error("error {0}")]
    Errno(i32),
    /// It would wait for storage, and nothing of it was done: to be called again where it may.
    #[error("it would wait")]
    WouldWait,
}

/// The error numbers that are answered often.
impl Failure {
    /// Operation not permitted.
    pub const EPERM: Self = Self::Errno(libc::EPERM);
    /// No such file.
    pub const ENOENT: Self = Self::Errno(libc::ENOENT);
    /// Input or output error.
    pub const EIO: Self = Self::Errno(libc::EIO);
    /// No such handle.
    pub const EBADF: Self = Self::Errno(libc::EBADF);
    /// Another lock is in the way.
    pub const EAGAIN: Self = Self::Errno(libc::EAGAIN);
    /// Permission denied.
    pub const EACCES: Self = Self::Errno(libc::EACCES);
    /// Invalid argument.
    pub const EINVAL: Self = Self::Errno(libc::EINVAL);
    /// Too many open files on the whole.
    pub const ENFILE: Self = Self::Errno(libc::ENFILE);
    /// Read-only file system.
    pub const EROFS: Self = Self::Errno(libc::EROFS);
    /// The bytes asked for are fewer than there are.
    pub const ERANGE: Self = Self::Errno(libc::ERANGE);
    /// No such operation.
    pub const ENOSYS: Self = Self::Errno(libc::ENOSYS);
    /// No such operation on this file.
    pub const EOPNOTSUPP: Self = Self::Errno(libc::EOPNOTSUPP);
    /// No such inode any more.
    pub const ESTALE: Self = Self::Errno(libc::ESTALE);
}

impl From<io::Error> for Failure {
    /// The error number, or EIO if there is none.
    fn from(error: io::Error) -> Self {
        Self::Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

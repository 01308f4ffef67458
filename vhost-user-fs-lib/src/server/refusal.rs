// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Why a request is not done.

use super::session::OLDEST;
use crate::filesystem::{Failure, NameError};
use crate::fuse::MAJOR;

/// How many bytes of an answer were written.
pub(super) type Served = Result<usize, Refusal>;

/// Why a request is not done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The client gets this error number.
    Errno(i32),
    /// It would wait.
    WouldWait,
    /// Another lock is in the way of one that waits.
    Locked,
    /// It makes no sense.
    Malformed(Malformed),
}

/// What is wrong with a request that no sane client makes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("{there} bytes are no header")]
    Header { there: usize },
    #[error("it says that it has {said} bytes, of {there}")]
    Length { said: u32, there: usize },
    #[error("bytes {offset} + {len} of its arguments are not there")]
    Short { offset: usize, len: usize },
    #[error("a text in it has no NUL")]
    NoNul,
    #[error("it has {there} bytes of arguments, more than {most}")]
    Long { there: usize, most: usize },
    #[error("it names {0}")]
    Name(NameError),
    #[error("{there} bytes have no room for the answer, which has {wanted}")]
    Room { there: usize, wanted: usize },
    #[error("its extensions make no sense")]
    Extensions,
    #[error("its client speaks FUSE {major}.{minor}, which is older than {MAJOR}.{OLDEST}")]
    Version { major: u32, minor: u32 },
    #[error("{what} {value} means nothing")]
    Value { what: &'static str, value: u64 },
}

impl Malformed {
    pub(super) fn errno(&self) -> i32 {
        match self {
            Self::Name(error) => error.errno(),
            Self::Long { .. } => libc::E2BIG,
            Self::Version { .. } => libc::EPROTO,
            _ => libc::EINVAL,
        }
    }
}

impl Refusal {
    /// The error number that the client gets.
    pub(super) fn errno(&self) -> i32 {
        match self {
            Self::Errno(errno) => *errno,
            // It may wait, and does not.
            Self::WouldWait => libc::EIO,
            Self::Locked => libc::EAGAIN,
            Self::Malformed(malformed) => malformed.errno(),
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Errno(errno) => Self::Errno(errno),
            Failure::WouldWait => Self::WouldWait,
        }
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        match error {
            // Linux leaves it to us to refuse those.
            NameError::Long => Self::Errno(error.errno()),
            NameError::NoEntry => Self::Malformed(Malformed::Name(error)),
        }
    }
}

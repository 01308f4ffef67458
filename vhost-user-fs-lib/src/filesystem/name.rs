// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Names of entries, judged before anything is done with them.

use std::ffi::CStr;
use std::fmt;

/// The longest name in bytes (`NAME_MAX`), without its NUL.
const LONGEST: usize = libc::NAME_MAX as usize;

/// The name of an entry in a directory: one component of a path, of 1 to 255 bytes, without `/`, and
/// neither `.` nor `..`. So no name leads out of a directory.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name<'n>(&'n CStr);

/// What is looked up: an entry, or the directory itself and what it is in. The last two come only from
/// clients that were told of `FUSE_EXPORT_SUPPORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupName<'n> {
    /// `.`
    Current,
    /// `..`
    Parent,
    /// An entry of the directory.
    Entry(Name<'n>),
}

/// Text that is no name of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty, `.` or `..`, or it has a `/`.
    #[error("not the name of an entry")]
    NoEntry,
    /// It is longer than 255 bytes.
    #[error("a name of more than {LONGEST} bytes")]
    Long,
}

impl<'n> Name<'n> {
    /// Judges `text`.
    ///
    /// # Errors
    /// It is no name of an entry.
    pub fn new(text: &'n CStr) -> Result<Self, NameError> {
        match text.to_bytes() {
            b"" | b"." | b".." => Err(NameError::NoEntry),
            bytes if bytes.contains(&b'/') => Err(NameError::NoEntry),
            bytes if bytes.len() > LONGEST => Err(NameError::Long),
            _ => Ok(Self(text)),
        }
    }

    /// The text, with its NUL.
    pub fn as_c_str(self) -> &'n CStr {
        self.0
    }

    /// The bytes, without the NUL.
    pub fn as_bytes(self) -> &'n [u8] {
        self.0.to_bytes()
    }
}

impl<'n> LookupName<'n> {
    /// Judges `text`.
    ///
    /// # Errors
    /// It is no name of an entry, and not one of the two that mean a directory.
    pub fn new(text: &'n CStr) -> Result<Self, NameError> {
        match text.to_bytes() {
            b"." => Ok(Self::Current),
            b".." => Ok(Self::Parent),
            _ => Name::new(text).map(Self::Entry),
        }
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl NameError {
    /// The error number that the client gets.
    pub fn errno(self) -> i32 {
        match self {
            Self::NoEntry => libc::EINVAL,
            Self::Long => libc::ENAMETOOLONG,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_none() {
        for text in [c"", c".", c"..", c"/", c"/etc", c"a/b", c"../a", c"a/", c"./a"] {
            assert_eq!(Name::new(text), Err(NameError::NoEntry), "{text:?}");
        }
        for text in [c"...", c".a", c"a..", c"..a", c"\xff\xfe", c" ", c"\n"] {
            assert_eq!(Name::new(text).map(Name::as_c_str), Ok(text));
        }
    }

    #[test]
    fn name_has_at_most_255_bytes() {
        let (longest, longer) = ("n".repeat(255), "n".repeat(256));
        let (longest, longer) = (CString::new(longest).unwrap(), CString::new(longer).unwrap());
        assert!(Name::new(&longest).is_ok());
        assert_eq!(Name::new(&longer), Err(NameError::Long));
        assert_eq!(NameError::Long.errno(), libc::ENAMETOOLONG);
    }

    #[test]
    fn directories_themselves_are_looked_up_and_nothing_else_is() {
        assert_eq!(LookupName::new(c"."), Ok(LookupName::Current));
        assert_eq!(LookupName::new(c".."), Ok(LookupName::Parent));
        assert_eq!(LookupName::new(c"../.."), Err(NameError::NoEntry));
        assert_eq!(LookupName::new(c"a"), Name::new(c"a").map(LookupName::Entry));
    }
}

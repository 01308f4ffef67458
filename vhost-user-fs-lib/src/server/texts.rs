// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Texts in a request: names, targets, names of attributes, each with a NUL behind it.

use std::ffi::CStr;

use super::refusal::{Malformed, Refusal};
use crate::filesystem::{LookupName, Name};

/// The longest text that a client sends, in bytes with its NUL (`PATH_MAX`): Linux leaves it to the server
/// to say that a name is too long.
pub(super) const LONGEST: usize = 4096;

/// The longest name of an extended attribute, in bytes (`XATTR_NAME_MAX`).
const LONGEST_XATTR: usize = 255;

/// What is left of the texts.
#[derive(Clone, Copy)]
pub(super) struct Texts<'t>(pub(super) &'t [u8]);

impl<'t> Texts<'t> {
    /// The next one.
    pub(super) fn text(&mut self) -> Result<&'t CStr, Malformed> {
        let text = CStr::from_bytes_until_nul(self.0).map_err(|_| Malformed::NoNul)?;
        self.0 = self.0.get(text.count_bytes() + 1..).unwrap_or_default();
        Ok(text)
    }

    /// The name of an entry.
    pub(super) fn name(&mut self) -> Result<Name<'t>, Refusal> {
        Ok(Name::new(self.text()?)?)
    }

    /// What is looked up. Clients know by themselves what `.` and `..` are, unless they `export` the file
    /// system.
    pub(super) fn lookup_name(&mut self, export: bool) -> Result<LookupName<'t>, Refusal> {
        if export { Ok(LookupName::new(self.text()?)?) } else { self.name().map(LookupName::Entry) }
    }

    /// The target of a symbolic link.
    pub(super) fn target(&mut self) -> Result<&'t CStr, Refusal> {
        let text = self.text()?;
        match text.count_bytes() {
            0 => Err(Refusal::Errno(libc::ENOENT)),
            LONGEST.. => Err(Refusal::Errno(libc::ENAMETOOLONG)),
            _ => Ok(text),
        }
    }

    /// The name of an extended attribute.
    pub(super) fn xattr(&mut self) -> Result<&'t CStr, Refusal> {
        let text = self.text()?;
        let fits = (1..=LONGEST_XATTR).contains(&text.count_bytes());
        if fits { Ok(text) } else { Err(Refusal::Errno(libc::ERANGE)) }
    }

    /// As many bytes behind the texts.
    pub(super) fn value(self, len: usize) -> Result<&'t [u8], Malformed> {
        let there = self.0.len();
        self.0.get(..len).ok_or(Malformed::Short { offset: there, len })
    }
}

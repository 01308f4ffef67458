// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a client says of something new beside its name and mode: a group, a security context.

use std::ffi::CStr;

use super::refusal::Malformed;
use crate::filesystem::SecurityContext;
use crate::fuse::{Extension, Groups, Security, Wire};

/// The most bytes of extensions: a label of 64 KiB, its name, and a group.
pub(super) const LONGEST: usize = 66 * 1024;

/// What the extensions say.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(super) struct Extensions<'t> {
    pub(super) group: Option<u32>,
    pub(super) security: Option<SecurityContext<'t>>,
}

impl<'t> Extensions<'t> {
    /// Reads them all. Each begins at a multiple of 8 bytes from the first; those that are unknown are
    /// skipped.
    pub(super) fn parse(mut bytes: &'t [u8]) -> Result<Self, Malformed> {
        let mut extensions = Self::default();
        while !bytes.is_empty() {
            if bytes.len() < Extension::SIZE {
                return Err(Malformed::Extensions);
            }
            let Extension { size, kind } = Extension::take(&mut &*bytes);
            let size = usize::try_from(size).map_err(|_| Malformed::Extensions)?;
            let body = bytes.get(Extension::SIZE..size).ok_or(Malformed::Extensions)?;
            match kind {
                0 => {}
                1 => extensions.security = Some(security(body)?),
                Extension::GROUPS => extensions.group = group(body)?,
                // There is room for one label only, and to forget one would be worse than to refuse.
                2..=Extension::MAX_SECURITY => return Err(Malformed::Extensions),
                _ => {}
            }
            bytes = bytes.get(size.next_multiple_of(8)..).unwrap_or_default();
        }
        Ok(extensions)
    }
}

fn group(mut body: &[u8]) -> Result<Option<u32>, Malformed> {
    let Groups { nr_groups } = Groups::take(&mut body);
    match nr_groups {
        0 => Ok(None),
        1 if body.len() >= size_of::<u32>() => Ok(Some(u32::take(&mut body))),
        _ => Err(Malformed::Extensions),
    }
}

fn security(mut body: &[u8]) -> Result<SecurityContext<'_>, Malformed> {
    if body.len() < Security::SIZE {
        return Err(Malformed::Extensions);
    }
    let Security { size, .. } = Security::take(&mut body);
    let size = usize::try_from(size).map_err(|_| Malformed::Extensions)?;
    let name = CStr::from_bytes_until_nul(body).map_err(|_| Malformed::NoNul)?;
    let behind = body.get(name.count_bytes() + 1..).unwrap_or_default();
    let value = behind.get(..size).ok_or(Malformed::Extensions)?;
    let is_name = (1..=255).contains(&name.count_bytes());
    if is_name { Ok(SecurityContext { name, value }) } else { Err(Malformed::Extensions) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    fn label(name: &[u8], value: &[u8]) -> Vec<u8> {
        let body = [&words(&[u32::try_from(value.len()).unwrap(), 0]), name, value].concat();
        let size = (8 + body.len()).next_multiple_of(8);
        let mut bytes = [words(&[u32::try_from(size).unwrap(), 1]), body].concat();
        bytes.resize(size, 0);
        bytes
    }

    #[test]
    fn group_and_label_are_found_in_either_order() {
        let (group, label) = (words(&[16, 32, 1, 77]), label(b"security.selinux\0", b"a:b"));
        for bytes in [[&group[..], &label].concat(), [&label[..], &group].concat()] {
            let found = Extensions::parse(&bytes).unwrap();
            assert_eq!(found.group, Some(77));
            let security = SecurityContext { name: c"security.selinux", value: b"a:b" };
            assert_eq!(found.security, Some(security));
        }
    }

    #[test]
    fn nothing_and_the_unknown_say_nothing() {
        for bytes in [words(&[]), words(&[8, 0]), words(&[16, 33, 5, 6]), words(&[12, 32, 0, 0])] {
            assert_eq!(Extensions::parse(&bytes), Ok(Extensions::default()));
        }
    }

    #[test]
    fn sizes_that_lead_nowhere_are_refused() {
        let cases: [&[u32]; 12] = [
            &[8],
            &[0, 32],
            &[7, 32],
            &[u32::MAX, 32],
            &[24, 32, 1, 77],
            &[12, 32, 1],
            &[16, 32, 2, 77],
            &[8, 1],
            &[16, 1, 0, 0],
            &[16, 2, 0, 0],
            &[20, 1, 5, 0, u32::from_ne_bytes(*b"a\0bc")],
            &[20, 1, 0, 0, u32::from_ne_bytes(*b"\0abc")],
        ];
        for case in cases {
            assert!(Extensions::parse(&words(case)).is_err(), "{case:?}");
        }
    }
}

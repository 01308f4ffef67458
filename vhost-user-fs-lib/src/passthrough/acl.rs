// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Access control lists: users and groups inside of an extended attribute (Linux,
//! `include/uapi/linux/posix_acl_xattr.h`).
//!
//! The value is a version, 32 bits, and entries of 8 bytes: tag, permissions, 16 bits each, and a user
//! or a group, 32 bits; little-endian.

use std::borrow::Cow;
use std::ffi::CStr;

use super::ids::Translation;
use crate::filesystem::{Failure, Result};

const VERSION: [u8; 4] = 2_u32.to_le_bytes();
const ENTRY: usize = 8;

/// An entry for one user.
const USER: u16 = 0x02;
/// An entry for one group.
const GROUP: u16 = 0x08;

/// Which way a list goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the client to the host.
    ToHost,
    /// From the host to the client.
    ToClient,
}

/// Whether the attribute `name`, in the host's words, has such a list as its value.
pub(crate) fn is_acl(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"system.posix_acl_access" | b"system.posix_acl_default")
}

/// The list `value` with its users and groups translated.
///
/// # Errors
/// To the host: EINVAL if it is no such list, EPERM if a user or group in it must not be used. To the
/// client there are none: what is no list goes as it is.
pub(crate) fn translate<'v>(value: &'v [u8], way: Way, ids: &Translation) -> Result<Cow<'v, [u8]>> {
    if ids.uid.is_identity() && ids.gid.is_identity() || value.is_empty() {
        return Ok(Cow::Borrowed(value));
    }
    let Some(entries) = value.strip_prefix(&VERSION).filter(|rest| rest.len() % ENTRY == 0) else {
        return match way {
            Way::ToHost => Err(Failure::EINVAL),
            Way::ToClient => Ok(Cow::Borrowed(value)),
        };
    };
    let mut translated = VERSION.to_vec();
    let (entries, _) = entries.as_chunks::<ENTRY>();
    for entry in entries {
        let [tag_low, tag_high, rights_low, rights_high, id @ ..] = *entry;
        let id = u32::from_le_bytes(id);
        let map = match u16::from_le_bytes([tag_low, tag_high]) {
            USER => Some(&ids.uid),
            GROUP => Some(&ids.gid),
            _ => None,
        };
        let id = match (map, way) {
            (None, _) => id,
            (Some(map), Way::ToHost) => map.to_host(id)?,
            (Some(map), Way::ToClient) => map.to_client(id),
        };
        translated.extend([tag_low, tag_high, rights_low, rights_high]);
        translated.extend(id.to_le_bytes());
    }
    Ok(Cow::Owned(translated))
}

#[cfg(test)]
mod tests {
    use super::super::ids::IdMap;
    use super::*;

    const OWNER: u16 = 0x01;
    const MASK: u16 = 0x10;

    fn list(entries: &[(u16, u32)]) -> Vec<u8> {
        let mut value = VERSION.to_vec();
        for (tag, id) in entries {
            value.extend(tag.to_le_bytes());
            value.extend(7_u16.to_le_bytes());
            value.extend(id.to_le_bytes());
        }
        value
    }

    fn ids() -> Translation {
        Translation {
            uid: IdMap::parse(["map:1000:2000:10", "forbid-guest:5:1"]).unwrap(),
            gid: IdMap::parse(["map:100:300:1"]).unwrap(),
        }
    }

    #[test]
    fn users_and_groups_of_a_list_are_translated_both_ways() {
        let nobody = u32::MAX;
        let client = list(&[(OWNER, nobody), (USER, 1001), (GROUP, 100), (MASK, nobody)]);
        let host = list(&[(OWNER, nobody), (USER, 2001), (GROUP, 300), (MASK, nobody)]);
        assert_eq!(translate(&client, Way::ToHost, &ids()).unwrap(), host);
        assert_eq!(translate(&host, Way::ToClient, &ids()).unwrap(), client);
    }

    #[test]
    fn list_with_a_forbidden_user_is_refused() {
        let client = list(&[(USER, 5)]);
        assert_eq!(translate(&client, Way::ToHost, &ids()), Err(Failure::EPERM));
        let groups = list(&[(GROUP, 5)]);
        assert_eq!(translate(&groups, Way::ToHost, &ids()).unwrap(), groups);
    }

    #[test]
    fn value_that_is_no_list_is_refused_only_towards_the_host() {
        let longer = [list(&[(USER, 1)]), vec![0]].concat();
        for value in [&b"\x03\0\0\0"[..], b"\x02\0\0", &longer] {
            assert_eq!(translate(value, Way::ToHost, &ids()), Err(Failure::EINVAL));
            assert_eq!(translate(value, Way::ToClient, &ids()).unwrap(), value);
        }
    }

    #[test]
    fn list_without_a_translation_is_not_looked_into() {
        let value = b"anything";
        let translated = translate(value, Way::ToHost, &Translation::default()).unwrap();
        assert!(matches!(translated, Cow::Borrowed(bytes) if bytes == value));
    }
}

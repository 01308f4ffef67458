// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Which file or device a disk is, as a number that tells a guest nothing else.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// A number that stays the same for as long as the file or device is the same one: of a file, by
/// its file system's device number and its inode; of a block device, by its device number; of a
/// disk without a file, by its size.
///
/// It says nothing about path or content. Printed, it is 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u64);

impl Identity {
    /// The identity of the file with this metadata.
    pub(super) fn of(metadata: &Metadata) -> Self {
        if metadata.file_type().is_block_device() {
            Self::hash(b'b', &[metadata.rdev()])
        } else {
            Self::hash(b'f', &[metadata.dev(), metadata.ino()])
        }
    }

    /// The identity of a disk of this size that keeps nothing.
    pub(super) fn of_nothing(size: u64) -> Self {
        Self::hash(b'n', &[size])
    }

    /// The identity of a disk of this size in memory.
    pub(super) fn of_memory(size: u64) -> Self {
        Self::hash(b'm', &[size])
    }

    /// FNV-1a with 64 bits: the same on every machine and in every version, which the standard
    /// library does not promise of its own.
    fn hash(kind: u8, numbers: &[u64]) -> Self {
        const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
        let hash = std::iter::once(kind)
            .chain(bytes)
            .fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
        Self(hash)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn hash_never_changes() {
        // A guest knows its disk by it: a new figure here is a new disk for every guest.
        assert_eq!(Identity::hash(b'f', &[]).to_string(), "af63db4c8601ead9");
        assert_eq!(Identity::hash(b'f', &[2049, 131_073]).to_string(), "0533ec59e957d593");
    }

    #[test]
    fn identity_stays_when_the_file_is_renamed_and_filled() {
        let dir = tempfile::tempdir().unwrap();
        let (before, after) = (dir.path().join("before"), dir.path().join("after"));
        fs::write(&before, b"").unwrap();
        let identity = Identity::of(&fs::metadata(&before).unwrap());
        fs::rename(&before, &after).unwrap();
        fs::write(&after, b"content").unwrap();
        assert_eq!(Identity::of(&fs::metadata(&after).unwrap()), identity);
    }

    #[test]
    fn identity_of_two_files_differs() {
        let dir = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| {
            let path = dir.path().join(name);
            fs::write(&path, b"").unwrap();
            Identity::of(&fs::metadata(&path).unwrap())
        });
        assert_ne!(one, two);
    }
}

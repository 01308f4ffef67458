// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Entries of directories, and files that were opened.

use std::time::Duration;

use super::attr::{Attr, timeout};
use super::wire::wire;
use crate::filesystem::{Entry, Opened};

/// Records of directories begin at multiples of as many bytes.
pub(crate) const RECORD: usize = 8;

wire! {
    /// `fuse_entry_out`.
    EntryOut[128] {
        nodeid: u64,
        generation: u64,
        entry_valid: u64,
        attr_valid: u64,
        entry_valid_nsec: u32,
        attr_valid_nsec: u32,
        attr: Attr,
    }

    /// `fuse_open_out`.
    OpenOut[16] {
        fh: u64,
        open_flags: u32,
        backing_id: u32,
    }

    /// What CREATE and TMPFILE answer.
    CreateOut[144] {
        entry: EntryOut,
        open: OpenOut,
    }

    /// `fuse_dirent`, which the name follows.
    Dirent[24] {
        ino: u64,
        off: u64,
        namelen: u32,
        kind: u32,
    }
}

impl EntryOut {
    /// There is none, which may be taken as true for so long.
    pub(crate) fn absent(duration: Duration) -> Self {
        let (entry_valid, entry_valid_nsec) = timeout(duration);
        Self { entry_valid, entry_valid_nsec, ..Self::default() }
    }
}

impl From<&Entry> for EntryOut {
    fn from(entry: &Entry) -> Self {
        let (entry_valid, entry_valid_nsec) = timeout(entry.timeout);
        let (attr_valid, attr_valid_nsec) = timeout(entry.attributes.timeout);
        Self {
            nodeid: entry.inode.0,
            generation: entry.generation,
            entry_valid,
            attr_valid,
            entry_valid_nsec,
            attr_valid_nsec,
            attr: Attr::from(&entry.attributes.attr),
        }
    }
}

impl From<Opened> for OpenOut {
    fn from(opened: Opened) -> Self {
        Self { fh: opened.handle.0, open_flags: opened.flags.0, backing_id: 0 }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What is in a reply.

use std::time::Duration;

use crate::fs::wire::{ATTR, ENTRY, Fields};

/// `fuse_attr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the names of the header")]
pub struct Attr {
    pub ino: u64,
    pub size: u64,
    pub blocks: u64,
    /// Seconds and nanoseconds.
    pub atime: (u64, u32),
    pub mtime: (u64, u32),
    pub ctime: (u64, u32),
    pub mode: u32,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u32,
    pub blksize: u32,
    pub flags: u32,
}

/// `fuse_entry_out`: what is known of something that was looked up or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number in later requests; 0 means that the name is known not to be there.
    pub node: u64,
    /// Tells it from others that had the number before.
    pub generation: u64,
    /// For how long the name leads there.
    pub entry_valid: Duration,
    /// For how long the attributes are true.
    pub attr_valid: Duration,
    /// Its attributes.
    pub attr: Attr,
}

/// `fuse_open_out`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The handle of what was opened.
    pub fh: u64,
    /// FOPEN flags.
    pub flags: u32,
}

/// One name of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirent {
    /// What READDIRPLUS says of it.
    pub entry: Option<Entry>,
    /// Its number on the host.
    pub ino: u64,
    /// Where the names behind it begin.
    pub offset: u64,
    /// Its type, as in DT_REG.
    pub kind: u32,
    /// Its name.
    pub name: Vec<u8>,
}

/// `fuse_init_out`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the names of the header")]
pub struct InitReply {
    pub major: u32,
    pub minor: u32,
    pub max_readahead: u32,
    /// Both words of them.
    pub flags: u64,
    pub max_background: u16,
    pub congestion_threshold: u16,
    pub max_write: u32,
    pub time_gran: u32,
    pub max_pages: u16,
    pub map_alignment: u16,
}

/// `fuse_kstatfs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the names of the header")]
pub struct Statfs {
    pub blocks: u64,
    pub bfree: u64,
    pub bavail: u64,
    pub files: u64,
    pub ffree: u64,
    pub bsize: u32,
    pub namelen: u32,
    pub frsize: u32,
}

/// Some of `fuse_statx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the names of the header")]
pub struct Statx {
    pub mask: u32,
    pub blksize: u32,
    pub attributes: u64,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub mode: u16,
    pub ino: u64,
    pub size: u64,
    /// When it was made: seconds and nanoseconds.
    pub btime: (u64, u32),
}

impl Attr {
    pub(super) fn of(fields: &mut Fields<'_>) -> Self {
        let mut fields = Fields::of(fields.take(ATTR));
        let [ino, size, blocks] = [fields.u64(), fields.u64(), fields.u64()];
        let [atime, mtime, ctime] = [fields.u64(), fields.u64(), fields.u64()];
        let [atimensec, mtimensec, ctimensec] = [fields.u32(), fields.u32(), fields.u32()];
        Self {
            ino,
            size,
            blocks,
            atime: (atime, atimensec),
            mtime: (mtime, mtimensec),
            ctime: (ctime, ctimensec),
            mode: fields.u32(),
            nlink: fields.u32(),
            uid: fields.u32(),
            gid: fields.u32(),
            rdev: fields.u32(),
            blksize: fields.u32(),
            flags: fields.u32(),
        }
    }

    /// `fuse_attr_out`: for how long it is true, and it.
    #[track_caller]
    pub(super) fn alone(bytes: &[u8]) -> Self {
        let mut fields = Fields::of(bytes);
        let _valid = (fields.u64(), fields.u32(), fields.u32());
        let attr = Self::of(&mut fields);
        assert!(fields.is_empty(), "bytes behind the attributes in a reply");
        attr
    }
}

impl Entry {
    pub(super) fn of(fields: &mut Fields<'_>) -> Self {
        let mut fields = Fields::of(fields.take(ENTRY));
        let [node, generation] = [fields.u64(), fields.u64()];
        let [entry, attr] = [fields.u64(), fields.u64()];
        let [entry_nanos, attr_nanos] = [fields.u32(), fields.u32()];
        Self {
            node,
            generation,
            entry_valid: Duration::new(entry, entry_nanos),
            attr_valid: Duration::new(attr, attr_nanos),
            attr: Attr::of(&mut fields),
        }
    }

    #[track_caller]
    pub(super) fn alone(bytes: &[u8]) -> Self {
        let mut fields = Fields::of(bytes);
        let entry = Self::of(&mut fields);
        assert!(fields.is_empty(), "bytes behind the entry in a reply");
        entry
    }
}

impl Opened {
    pub(super) fn of(fields: &mut Fields<'_>) -> Self {
        let opened = Self { fh: fields.u64(), flags: fields.u32() };
        fields.u32();
        opened
    }

    #[track_caller]
    pub(super) fn alone(bytes: &[u8]) -> Self {
        let mut fields = Fields::of(bytes);
        let opened = Self::of(&mut fields);
        assert!(fields.is_empty(), "bytes behind the handle in a reply");
        opened
    }
}

impl Dirent {
    /// All that are in the reply to READDIR, or to READDIRPLUS.
    #[track_caller]
    pub(super) fn all(bytes: &[u8], plus: bool) -> Vec<Self> {
        let mut fields = Fields::of(bytes);
        let mut names = Vec::new();
        while !fields.is_empty() {
            let entry = plus.then(|| Entry::of(&mut fields));
            let [ino, offset] = [fields.u64(), fields.u64()];
            let [len, kind] = [fields.u32(), fields.u32()];
            let len = usize::try_from(len).expect("the length of a name");
            let name = fields.take(len).to_vec();
            // The last one is filled up as the others are.
            fields.take(len.next_multiple_of(8) - len);
            names.push(Self { entry, ino, offset, kind, name });
        }
        names
    }
}

impl InitReply {
    #[track_caller]
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut fields = Fields::of(bytes);
        let [major, minor, max_readahead, low] =
            [fields.u32(), fields.u32(), fields.u32(), fields.u32()];
        let [max_background, congestion_threshold] = [fields.u16(), fields.u16()];
        let [max_write, time_gran] = [fields.u32(), fields.u32()];
        let [max_pages, map_alignment] = [fields.u16(), fields.u16()];
        let high = fields.u32();
        let flags = u64::from(high) << 32 | u64::from(low);
        Self {
            major,
            minor,
            max_readahead,
            flags,
            max_background,
            congestion_threshold,
            max_write,
            time_gran,
            max_pages,
            map_alignment,
        }
    }
}

impl Statfs {
    #[track_caller]
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut fields = Fields::of(bytes);
        let [blocks, bfree, bavail] = [fields.u64(), fields.u64(), fields.u64()];
        let [files, ffree] = [fields.u64(), fields.u64()];
        let [bsize, namelen, frsize] = [fields.u32(), fields.u32(), fields.u32()];
        Self { blocks, bfree, bavail, files, ffree, bsize, namelen, frsize }
    }
}

impl Statx {
    /// `fuse_statx_out`.
    #[track_caller]
    pub(super) fn of(bytes: &[u8]) -> Self {
        /// For how long it is true, flags, and room.
        const BEFORE: usize = 32;
        /// `fuse_statx`.
        const LEN: usize = 256;
        assert_eq!(bytes.len(), BEFORE + LEN, "the length of the reply to STATX");
        let mut fields = Fields::of(&bytes[BEFORE..]);
        let [mask, blksize] = [fields.u32(), fields.u32()];
        let attributes = fields.u64();
        let [nlink, uid, gid] = [fields.u32(), fields.u32(), fields.u32()];
        let [mode, _] = [fields.u16(), fields.u16()];
        let [ino, size] = [fields.u64(), fields.u64()];
        let _ = (fields.u64(), fields.u64(), fields.take(16));
        let btime = (fields.u64(), fields.u32());
        Self { mask, blksize, attributes, nlink, uid, gid, mode, ino, size, btime }
    }
}

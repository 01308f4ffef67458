// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What is known of a file.

use std::time::Duration;

use super::Inode;

/// A point in time: seconds since 1970, which may be negative, and nanoseconds, 0 to 999,999,999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds behind that.
    pub nanoseconds: u32,
}

/// The attributes of a file (`fuse_attr`, `fuse_statx`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attr {
    /// The number of the inode in its file system of the host's, as stat(2) says it.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// Blocks of 512 bytes.
    pub blocks: u64,
    /// Last access.
    pub atime: Time,
    /// Last change of the data.
    pub mtime: Time,
    /// Last change of the attributes.
    pub ctime: Time,
    /// When it was made, if that is known.
    pub btime: Option<Time>,
    /// Type and permissions (`st_mode`).
    pub mode: u32,
    /// Names.
    pub nlink: u32,
    /// The user, as the client sees it.
    pub uid: u32,
    /// The group, as the client sees it.
    pub gid: u32,
    /// Of a device: its number, as the kernel encodes it in 32 bits (`new_encode_dev`).
    pub rdev: u32,
    /// The best size of a transfer, in bytes.
    pub blksize: u32,
    /// Whether another file system is mounted here (`FUSE_ATTR_SUBMOUNT`).
    pub submount: bool,
}

/// Attributes, and for how long the client may take them as true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// What they are.
    pub attr: Attr,
    /// For how long.
    pub timeout: Duration,
}

/// An entry of a directory that was found or made (`fuse_entry_out`). The inode has a reference for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What the client calls it from now on.
    pub inode: Inode,
    /// Tells uses of the same number apart.
    pub generation: u64,
    /// Its attributes.
    pub attributes: Attributes,
    /// For how long the client may take it that the name means this inode.
    pub timeout: Duration,
}

/// What a lookup has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// There is an entry.
    Found(Entry),
    /// There is none, and the client may take that as true for so long (`nodeid` 0).
    Absent(Duration),
}

/// Which attributes are to be changed (`fuse_setattr_in`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAttr {
    /// Permissions.
    pub mode: Option<u32>,
    /// The user.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
    /// Bytes.
    pub size: Option<u64>,
    /// Last access.
    pub atime: Option<NewTime>,
    /// Last change of the data.
    pub mtime: Option<NewTime>,
    /// Last change of the attributes: only with a writeback cache. No system call sets it.
    pub ctime: Option<Time>,
    /// The set-user-id and set-group-id bits and the capabilities go (`FATTR_KILL_SUIDGID`).
    pub kill_suid_sgid: bool,
}

/// What a time shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewTime {
    /// The host's clock says it.
    Now,
    /// The client does.
    At(Time),
}

/// A file system on the whole (`fuse_kstatfs`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statfs {
    /// Blocks of `frsize` bytes.
    pub blocks: u64,
    /// Of them, free.
    pub bfree: u64,
    /// Of them, free for ordinary users.
    pub bavail: u64,
    /// Inodes.
    pub files: u64,
    /// Of them, free.
    pub ffree: u64,
    /// The best size of a transfer, in bytes.
    pub bsize: u32,
    /// The longest name, in bytes.
    pub namelen: u32,
    /// The size of a block, in bytes.
    pub frsize: u32,
}

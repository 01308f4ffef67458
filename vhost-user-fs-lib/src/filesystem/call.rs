// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What comes with a request beside the file that it is about.

use std::ffi::CStr;

use super::LockOwner;

/// Who asks (`fuse_in_header`), in the client's numbers. Clients of version 7.41 and later that know
/// idmapped mounts say [`Caller::NOBODY`] where it does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user, for access to files.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The process.
    pub pid: u32,
}

impl Caller {
    /// A user or group that is not said.
    pub const NOBODY: u32 = u32::MAX;
}

/// Who asks, and how the call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Who asks.
    pub caller: Caller,
    /// Whether this thread may wait for storage; see [`Failure::WouldWait`](super::Failure).
    pub may_wait: bool,
}

/// How something new is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Creation<'r> {
    /// Type and permissions (`st_mode`); of a symbolic link they mean nothing.
    pub mode: u32,
    /// Permission bits that it shall not have. Only with `FUSE_DONT_MASK`; else the client has taken them
    /// away.
    pub umask: u32,
    /// A further group of the caller's, which is that of the directory (`FUSE_EXT_GROUPS`).
    pub group: Option<u32>,
    /// The label that it shall have from its start (`FUSE_SECURITY_CTX`).
    pub security: Option<SecurityContext<'r>>,
}

/// A label of a security module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecurityContext<'r> {
    /// The attribute: `security.selinux`.
    pub name: &'r CStr,
    /// Its value.
    pub value: &'r [u8],
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// `O_...` of the client's architecture, as Linux numbers them.
    pub flags: u32,
    /// What opening with O_TRUNC does to set-user-id bits (`FUSE_OPEN_KILL_SUIDGID`).
    pub kill_suid_sgid: bool,
}

/// How data is written (`fuse_write_in`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writing {
    /// The client's cache writes, and does not say for whom (`FUSE_WRITE_CACHE`).
    pub from_cache: bool,
    /// The set-user-id and set-group-id bits go (`FUSE_WRITE_KILL_SUIDGID`).
    pub kill_suid_sgid: bool,
    /// The flags of the open file, as they are now: `O_DIRECT`, `O_APPEND` may have changed.
    pub flags: u32,
}

/// How an open file is released (`fuse_release_in`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// Whose locks end, if any do: record locks with `FUSE_RELEASE_FLUSH`, the lock of the whole file with
    /// `FUSE_RELEASE_FLOCK_UNLOCK`.
    pub owner: LockOwner,
    /// Record locks end.
    pub flush: bool,
    /// The lock of the whole file ends.
    pub unlock: bool,
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Locks of files.

/// Whoever holds a lock in the client: a number without a meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LockOwner(pub u64);

/// What is locked, and how (`fuse_file_lock`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The first byte.
    pub start: u64,
    /// The last byte; [`Lock::END`] is the end of the file, wherever it is.
    pub end: u64,
    /// How.
    pub kind: LockKind,
    /// The process that holds it, or 0.
    pub pid: u32,
}

impl Lock {
    /// The last byte that can be locked (`OFFSET_MAX`), which stands for the end of the file.
    pub const END: u64 = i64::MAX.unsigned_abs();
}

/// How something is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// For others, too, who read.
    Shared,
    /// For nobody else.
    Exclusive,
    /// Not at all.
    Unlocked,
}

/// A request for a lock (`fuse_lk_in`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockRequest {
    /// Who wants it.
    pub owner: LockOwner,
    /// What.
    pub lock: Lock,
    /// The lock of the whole file (flock(2)), which has nothing to do with those of records
    /// (`FUSE_LK_FLOCK`).
    pub whole: bool,
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The files and directories that the client has open.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::descriptors::Descriptor;
use super::directory::Cursor;
use super::mounts::Nature;
use super::table::Plain;
use crate::filesystem::{Failure, Handle, Inode, Result};

const SHARDS: usize = 16;

/// A file or a directory that is open.
#[derive(Debug)]
pub(super) struct Open {
    /// Of which inode.
    pub(super) inode: Inode,
    pub(super) descriptor: Descriptor,
    pub(super) what: What,
}

/// What is open.
#[derive(Debug)]
pub(super) enum What {
    File(File),
    Directory(Mutex<Cursor>),
}

/// What is to be known of an open file.
#[derive(Debug, Default)]
pub(super) struct File {
    /// The host appends what is written.
    pub(super) appends: bool,
    /// What is written waits for the storage: O_SYNC, O_DSYNC, O_DIRECT.
    pub(super) waits: bool,
    /// It is open to be written.
    pub(super) writes: bool,
    /// What its file system is like, if the host does not know how to read it without waiting.
    pub(super) no_nowait: OnceLock<Nature>,
    /// Something was written since it was flushed.
    pub(super) written: AtomicBool,
    /// The device that it is on.
    pub(super) device: u64,
}

/// All that is open.
#[derive(Debug)]
pub(super) struct Handles {
    shards: [Mutex<HashMap<u64, Arc<Open>, Plain>>; SHARDS],
    made: AtomicU64,
}

impl AsFd for Open {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Open {
    /// What is to be known of it if it is a file.
    pub(super) fn file(&self) -> Result<&File> {
        match &self.what {
            What::File(file) => Ok(file),
            What::Directory(_) => Err(Failure::Errno(libc::EISDIR)),
        }
    }

    /// Whether it is open to be written.
    pub(super) fn writes(&self) -> bool {
        matches!(&self.what, What::File(file) if file.writes)
    }

    /// Where it is being read if it is a directory.
    pub(super) fn cursor(&self) -> Result<MutexGuard<'_, Cursor>> {
        match &self.what {
            // A panic ends the process.
            What::Directory(cursor) => Ok(cursor.lock().unwrap_or_else(PoisonError::into_inner)),
            What::File(_) => Err(Failure::Errno(libc::ENOTDIR)),
        }
    }
}

impl Default for Handles {
    fn default() -> Self {
        // 0 is the handle of those who have none.
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { shards, made: AtomicU64::new(1) }
    }
}

impl Handles {
    pub(super) fn insert(&self, open: Open) -> Handle {
        let handle = Handle(self.made.fetch_add(1, Ordering::Relaxed));
        self.shard(handle).insert(handle.0, Arc::new(open));
        handle
    }

    /// What a handle means: something that is open of this inode.
    pub(super) fn get(&self, inode: Inode, handle: Handle) -> Result<Arc<Open>> {
        let open = self.shard(handle).get(&handle.0).map(Arc::clone);
        open.filter(|open| open.inode == inode).ok_or(Failure::EBADF)
    }

    /// Takes a handle away.
    pub(super) fn remove(&self, inode: Inode, handle: Handle) -> Result<Arc<Open>> {
        let mut shard = self.shard(handle);
        match shard.get(&handle.0) {
            Some(open) if open.inode == inode => shard.remove(&handle.0).ok_or(Failure::EBADF),
            _ => Err(Failure::EBADF),
        }
    }

    /// Nothing is open any more.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let gone = std::mem::take(&mut *lock(shard));
            drop(gone);
        }
    }

    /// How much is open.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    fn shard(&self, handle: Handle) -> MutexGuard<'_, HashMap<u64, Arc<Open>, Plain>> {
        lock(&self.shards[usize::try_from(handle.0 % SHARDS as u64).unwrap_or(0)])
    }
}

fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic ends the process.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

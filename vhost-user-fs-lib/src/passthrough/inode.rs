// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! An inode that the client knows.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::descriptors::Descriptor;
use super::mounts::Mount;
use crate::filesystem::Inode;

/// What tells the inodes of a host apart for as long as they are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ids {
    /// The mount.
    pub(super) mount: u64,
    /// The device.
    pub(super) device: u64,
    /// The number, which the host may use again once the file is gone.
    pub(super) ino: u64,
}

/// How an inode is got hold of.
#[derive(Debug)]
pub(super) enum Place {
    /// By a descriptor with O_PATH, which also keeps its number from being used again.
    Descriptor(Descriptor),
    /// By a handle: the words of a `struct file_handle`.
    Handle { mount: Arc<Mount>, handle: Box<[u32]> },
}

/// An inode that the client knows.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) number: Inode,
    pub(super) ids: Ids,
    /// Its type (`S_IFMT`), which never changes.
    pub(super) kind: u32,
    pub(super) place: Place,
    /// How often the client has been told of it. It changes under the lock of its shard alone, so that what
    /// has none is not found.
    references: AtomicU64,
    /// Of one with a handle: a descriptor with O_PATH that happens to be open.
    held: Mutex<Option<Arc<Descriptor>>>,
    /// Whether that has been of use lately.
    used: AtomicBool,
}

/// A descriptor with O_PATH of an inode, for one operation.
#[derive(Debug)]
pub(super) enum Reached<'n> {
    Own(BorrowedFd<'n>),
    Held(Arc<Descriptor>),
    Opened(OwnedFd),
}

impl Node {
    pub(super) fn new(number: Inode, ids: Ids, kind: u32, place: Place) -> Self {
        Self {
            number,
            ids,
            kind,
            place,
            references: AtomicU64::new(0),
            held: Mutex::new(None),
            used: AtomicBool::new(false),
        }
    }

    /// One reference more. The lock of the shard is held.
    pub(super) fn refer(&self) {
        let references = self.references.load(Ordering::Relaxed);
        self.references.store(references.saturating_add(1), Ordering::Relaxed);
    }

    /// So many references less. Returns how many there are then. The lock of the shard is held.
    pub(super) fn unrefer(&self, count: u64) -> u64 {
        let references = self.references.load(Ordering::Relaxed).saturating_sub(count);
        self.references.store(references, Ordering::Relaxed);
        references
    }

    pub(super) fn is_directory(&self) -> bool {
        self.kind == libc::S_IFDIR
    }

    pub(super) fn is_regular(&self) -> bool {
        self.kind == libc::S_IFREG
    }

    /// Whether an open descriptor keeps its number from being used again.
    pub(super) fn is_held(&self) -> bool {
        match &self.place {
            Place::Descriptor(_) => true,
            Place::Handle { .. } => self.held().is_some(),
        }
    }

    /// The descriptor that happens to be open, which is of use now.
    pub(super) fn held(&self) -> Option<Arc<Descriptor>> {
        let held = self.slot().clone();
        if held.is_some() {
            self.used.store(true, Ordering::Relaxed);
        }
        held
    }

    /// Keeps a descriptor, unless there is one: says whether it does.
    pub(super) fn hold(&self, descriptor: &Arc<Descriptor>) -> bool {
        let mut slot = self.slot();
        if slot.is_some() {
            return false;
        }
        *slot = Some(Arc::clone(descriptor));
        true
    }

    /// Lets go of the descriptor that happens to be open.
    pub(super) fn let_go(&self) -> Option<Arc<Descriptor>> {
        self.slot().take()
    }

    /// Whether the descriptor has been of use since this was last asked.
    pub(super) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<Descriptor>>> {
        // A panic ends the process.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsFd for Reached<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(fd) => *fd,
            Self::Held(descriptor) => descriptor.as_fd(),
            Self::Opened(fd) => fd.as_fd(),
        }
    }
}

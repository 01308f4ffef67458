// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The host side: a regular file or a block device, memory, or nothing at all.

mod direct;
mod error;
mod events;
mod flush;
mod identity;
mod limits;
mod lock;
mod open;
mod options;
mod ranges;
mod size;

pub use error::{DiskError, whole};
pub use identity::Identity;
pub use limits::Limits;
pub use open::OpenError;
pub use options::{
    Cache, Discard, ImageLock, MAX_BLOCK_SIZE, MIN_BLOCK_SIZE, Options, SizeError, Source,
    is_block_size,
};
pub use ranges::Way;

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use vhost_user_device::HostFile;

use events::Events;
use ranges::Missing;
use size::Size;

/// An open disk, which all queues share. It says what its files are good for; operations on them are
/// the queues' own.
#[derive(Debug)]
pub struct Disk {
    medium: Medium,
    /// Its name in messages.
    path: PathBuf,
    size: Size,
    limits: Limits,
    read_only: bool,
    cache: Cache,
    discard: Discard,
    identity: Identity,
    doubts: Doubts,
}

/// What a disk's bytes are kept in, open.
#[derive(Debug)]
enum Medium {
    Nothing,
    Memory(Arc<HostFile>),
    File {
        /// The description by which it was found: for questions about the file.
        file: File,
        is_device: bool,
        /// By queue.
        files: Box<[QueueFiles]>,
        events: Option<Events>,
    },
}

/// The descriptions of the disk's file that one queue has for itself.
#[derive(Clone, Debug)]
pub struct QueueFiles {
    /// For all but flushes.
    pub data: Arc<HostFile>,
    /// For flushes alone. The host tells a loss once to each description of a file: this one is told
    /// of all of them, and a write that has to be on stable storage takes nothing away from it.
    pub sync: Arc<HostFile>,
}

/// What was learned from operations that failed.
#[derive(Debug, Default)]
struct Doubts {
    /// A flush failed, so that none can promise anything any more.
    lost: AtomicBool,
    missing: Missing,
}

impl Disk {
    /// In which units the host likes to be asked.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether the disk is only read.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// What happens between a write and stable storage.
    pub fn cache(&self) -> Cache {
        self.cache
    }

    /// What happens to room that the guest no longer needs.
    pub fn discard(&self) -> Discard {
        self.discard
    }

    /// What the queue of this index, from 0 on, works on; `None` if nothing is kept.
    pub fn files(&self, queue: u16) -> Option<QueueFiles> {
        match &self.medium {
            Medium::Nothing => None,
            Medium::Memory(file) => {
                Some(QueueFiles { data: Arc::clone(file), sync: Arc::clone(file) })
            }
            Medium::File { files, .. } => files.get(usize::from(queue)).cloned(),
        }
    }

    /// Which file or device it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Readable when [`Disk::take_changes`] is worth a call; none if the host says nothing of the
    /// kind.
    pub fn changes(&self) -> Option<BorrowedFd<'_>> {
        self.events().map(Events::descriptor)
    }

    /// Reads what the host says about changes of the disk, and returns as [`Disk::refresh`] does if
    /// there is some.
    pub fn take_changes(&self) -> bool {
        self.events().is_some_and(|events| events.take() && self.look_again(false))
    }

    fn events(&self) -> Option<&Events> {
        match &self.medium {
            Medium::File { events, .. } => events.as_ref(),
            Medium::Nothing | Medium::Memory(_) => None,
        }
    }

    /// The file that has its size, if there is one.
    fn file(&self) -> Option<&File> {
        match &self.medium {
            Medium::File { file, .. } => Some(file),
            Medium::Memory(file) => Some(file.file()),
            Medium::Nothing => None,
        }
    }
}

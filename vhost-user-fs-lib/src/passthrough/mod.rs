// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A directory of the host's as a file system.
//!
//! An inode is known by what tells it apart on the host: its mount, device and number, as long as a
//! descriptor with O_PATH is open, and else its handle (name_to_handle_at(2)). So LOOKUP of what is known
//! is one or two system calls, and a million inodes need no descriptors.
//!
//! Nothing leads out of the directory, whatever sandbox there is: names are single components, every
//! resolution is of one component, follows no link and stays beneath its directory, and only what is
//! known to be a regular file or a directory is opened to be read or written.

mod acl;
mod attributes;
mod caller;
mod copy;
mod create;
mod data;
mod descriptors;
mod directory;
mod filesystem;
mod flags;
mod handles;
mod held;
pub mod ids;
mod inode;
mod ioctl;
mod locks;
mod lookup;
mod mounts;
mod names;
mod open;
mod options;
mod reach;
mod session;
mod space;
mod table;
pub mod xattr_map;
mod xattrs;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

pub use options::{Cache, FileHandles, Options, Wanted};

use self::caller::Callers;
use self::descriptors::{Budget, Descriptor};
use self::handles::Handles;
use self::held::Held;
use self::inode::{Ids, Node, Place};
use self::locks::Locks;
use self::mounts::Mounts;
use self::session::Agreed;
use self::table::Table;
use crate::filesystem::Inode;
use crate::sys::open::{CURRENT_DIRECTORY, name_to_handle, open_at};
use crate::sys::status::statx;

/// A directory, or a single file, of the host's as a file system.
#[derive(Debug)]
pub struct Passthrough {
    options: Options,
    root: Arc<Node>,
    /// The directory /proc/self/fd.
    self_fds: Option<OwnedFd>,
    table: Table,
    handles: Handles,
    mounts: Mounts,
    held: Held,
    budget: Arc<Budget>,
    locks: Locks<Descriptor>,
    callers: Callers,
    agreed: Agreed,
    /// Bytes of entries that were read from directories and are yet to be asked for.
    read_ahead: Arc<AtomicUsize>,
}

/// Why a directory cannot be shared.
#[derive(Debug, thiserror::Error)]
pub enum PassthroughError {
    /// Its attributes cannot be had.
    #[error("get the attributes of the shared directory")]
    Attributes(#[source] io::Error),
    /// The system does not say in which mount a file is.
    #[error("get the mount of the shared directory: the system is older than Linux 5.8")]
    Mount,
    /// It is something else.
    #[error("share an inode of type {kind:#o}: neither a directory nor a regular file")]
    Kind {
        /// Its type (`S_IFMT`).
        kind: u32,
    },
    /// Handles are mandatory, and there are none.
    #[error("get a file handle of the shared directory")]
    Handle(#[source] io::Error),
    /// Handles are mandatory, and cannot be opened.
    #[error("open the shared directory by its file handle")]
    OpenHandle(#[source] io::Error),
    /// The descriptors would not do for the root.
    #[error("hold a descriptor of the shared directory: the limit is {limit}")]
    Descriptors {
        /// How many there may be.
        limit: usize,
    },
}

impl Passthrough {
    /// Shares `root`, an open directory or regular file (O_PATH is enough). `self_fds` is the directory
    /// /proc/self/fd, without which some operations do not work: opening files of file systems without
    /// handles, extended attributes and links of what is neither a file nor a directory. To be called once
    /// all namespaces and capabilities are as they will be.
    ///
    /// # Errors
    /// It cannot be shared in this way.
    pub fn new(
        root: OwnedFd,
        self_fds: Option<OwnedFd>,
        options: Options,
    ) -> Result<Self, PassthroughError> {
        let status = statx(root.as_fd(), c"").map_err(PassthroughError::Attributes)?;
        if status.stx_mask & libc::STATX_MNT_ID == 0 {
            return Err(PassthroughError::Mount);
        }
        let kind = u32::from(status.stx_mode) & libc::S_IFMT;
        if kind != libc::S_IFDIR && kind != libc::S_IFREG {
            return Err(PassthroughError::Kind { kind });
        }
        if options.file_handles == FileHandles::Mandatory {
            name_to_handle(root.as_fd(), c"").map_err(PassthroughError::Handle)?;
        }
        let budget = Budget::new(options.descriptors);
        let permit = budget.take();
        let permit = permit.ok_or(PassthroughError::Descriptors { limit: options.descriptors })?;
        let ids = Ids::of(&status);
        let place = Place::Descriptor(Descriptor::new(root, permit));
        let shared = Self {
            root: Arc::new(Node::new(Inode::ROOT, ids, kind, place)),
            self_fds: self_fds.or_else(|| {
                open_at(CURRENT_DIRECTORY, c"/proc/self/fd", libc::O_PATH | libc::O_DIRECTORY, 0)
                    .ok()
            }),
            table: Table::default(),
            handles: Handles::default(),
            mounts: Mounts::default(),
            held: Held::new(options.inode_fd_cache),
            locks: Locks::default(),
            callers: Callers::new(),
            agreed: Agreed::default(),
            read_ahead: Arc::default(),
            budget,
            options,
        };
        if shared.options.file_handles == FileHandles::Mandatory {
            shared.try_handles().map_err(PassthroughError::OpenHandle)?;
        }
        Ok(shared)
    }
}

#[cfg(test)]
mod tests;

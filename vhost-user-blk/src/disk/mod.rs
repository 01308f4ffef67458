// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The host side: a regular file or a block device, and its reads, writes and flushes.

mod identity;
mod open;
mod size;
mod sync;

pub use identity::Identity;
pub use open::{MAX_BLOCK_SIZE, MIN_BLOCK_SIZE, OpenError, Options, is_block_size};
pub use sync::{DiskError, Memory};

use std::fs::File;
use std::path::PathBuf;
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;

use size::Size;

/// An open disk. Its methods take `&self`, so that queues can share it; only flushes wait for
/// each other.
#[derive(Debug)]
pub struct Disk {
    file: File,
    path: PathBuf,
    size: Size,
    block_size: u32,
    physical_block_size: u32,
    read_only: bool,
    identity: Identity,
    /// Held for reading by every flush under way.
    flushes: RwLock<()>,
    flush_failed: AtomicBool,
}

impl Disk {
    /// The unit of a write, in bytes: a power of two.
    pub fn block_size(&self) -> u32 {
        self.block_size
    }

    /// What the host writes in one go, in bytes: a power of two, at least the block size.
    pub fn physical_block_size(&self) -> u32 {
        self.physical_block_size
    }

    /// Whether the disk is only read.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Which file or device it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Why a disk cannot be served.

use std::io;
use std::path::PathBuf;

use crate::disk::{MAX_BLOCK_SIZE, MIN_BLOCK_SIZE};

/// Why a disk cannot be served: the operator's fault, or the host's.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such file, or it may not be opened so.
    #[error("open disk {path:?} {access}")]
    Open {
        /// The disk.
        path: PathBuf,
        /// How it was to be opened.
        access: &'static str,
        /// What the host says.
        source: io::Error,
    },
    /// The file is of another kind.
    #[error("disk {path:?} is {kind}, not a regular file or a block device")]
    Kind {
        /// The disk.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// The device can be opened for writing, but not written to.
    #[error("open disk {path:?} read-write: the device is read-only")]
    ReadOnlyDevice {
        /// The disk.
        path: PathBuf,
    },
    /// The host does not say what the disk is like.
    #[error("ask for size and blocks of disk {path:?}")]
    Size {
        /// The disk.
        path: PathBuf,
        /// What the host says.
        source: io::Error,
    },
    /// The disk has not even one block.
    #[error("disk {path:?} of {size} bytes holds no block of {block_size} bytes")]
    TooSmall {
        /// The disk.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// Its block size in bytes.
        block_size: u32,
    },
    /// The device's own block size is none that a guest can be offered.
    #[error(
        "disk {path:?} has blocks of {block_size} bytes, not of a power of two from \
         {MIN_BLOCK_SIZE} to {MAX_BLOCK_SIZE}"
    )]
    BlockSize {
        /// The disk.
        path: PathBuf,
        /// Its block size in bytes.
        block_size: u32,
    },
    /// Another process has the disk's file.
    #[error("lock disk {path:?}: another process {what}; tried for {seconds} s")]
    InUse {
        /// The disk.
        path: PathBuf,
        /// What the other process does with it.
        what: &'static str,
        /// For how long it was tried.
        seconds: u64,
    },
    /// The host refuses the lock.
    #[error("lock disk {path:?}")]
    Lock {
        /// The disk.
        path: PathBuf,
        /// What the host says.
        source: io::Error,
    },
    /// The page cache cannot be left out.
    #[error("open disk {path:?} past the page cache (O_DIRECT); --cache writeback does without")]
    Direct {
        /// The disk.
        path: PathBuf,
        /// What the host says.
        source: io::Error,
    },
    /// The blocks that the operator wants are smaller than what can be written past the page cache.
    #[error(
        "disk {path:?} in blocks of {block_size} bytes: past the page cache it is written in \
         blocks of {least} bytes"
    )]
    DirectBlockSize {
        /// The disk.
        path: PathBuf,
        /// The size of a block that was wanted, in bytes.
        block_size: u32,
        /// The least size, in bytes.
        least: u32,
    },
    /// Its path leads to another file from one moment to the next.
    #[error("open disk {path:?}: it was replaced by another file meanwhile")]
    Replaced {
        /// The disk.
        path: PathBuf,
    },
    /// There is no such memory.
    #[error("make a disk of {size} bytes of memory")]
    Memory {
        /// The disk's size in bytes.
        size: u64,
        /// What the host says.
        source: io::Error,
    },
}

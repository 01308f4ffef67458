// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The daemon that a round is played against, as far as a front end and its operator know it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::setting::DISK;

/// The daemon, as far as a front end knows it.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) socket: PathBuf,
    pub(super) pid: u32,
    /// The longest queue that it serves.
    pub(super) queue_size: u16,
    /// How long it may take to do what it does at once, as a rule.
    pub(super) patience: Duration,
    /// The image, if it may get longer.
    pub(super) image: Option<Resizable>,
}

/// An image that gets longer while it is served.
#[derive(Clone, Debug)]
pub(super) struct Resizable {
    path: PathBuf,
    len: Arc<AtomicU64>,
}

impl Resizable {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), len: Arc::new(AtomicU64::new(DISK)) }
    }

    /// The length that it got last, in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    /// It gets longer, up to a bound. Not shorter: what is written behind a new end before the daemon
    /// knows of it makes a file longer again.
    pub(super) fn grow(&self, more: u64) -> io::Result<()> {
        let len = (self.len() + more).min(2 * DISK);
        self.len.store(len, Ordering::Relaxed);
        File::options().write(true).open(&self.path)?.set_len(len)
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A directory of the host that a guest can live on.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{disk, tools};

/// The name by which guests mount it.
pub const ROOT_TAG: &str = "rootfs";

/// A directory with a root file system around busybox.
#[derive(Debug)]
pub struct Share {
    path: PathBuf,
}

/// A virtiofsd that listens, as a guest's root or beside it.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The socket at which it listens.
    pub socket: PathBuf,
    /// The name by which the guest mounts it.
    pub tag: String,
    /// How many request queues the guest gets.
    pub queues: u16,
}

impl Share {
    /// Fills the empty directory `path`.
    ///
    /// # Errors
    /// busybox is missing, or the directory cannot be written.
    pub fn create(path: PathBuf) -> Result<Self> {
        disk::plant(&path).with_context(|| format!("make a root file system in {path:?}"))?;
        Ok(Self { path })
    }

    /// Adds programs of the host, each with its libraries. Not more than once.
    ///
    /// # Errors
    /// A program is missing or is no dynamic one, or the directory cannot be written.
    pub fn install(&self, programs: &[&str]) -> Result<()> {
        tools::install(&self.path, programs)
            .map(drop)
            .with_context(|| format!("add {programs:?} to {:?}", self.path))
    }

    /// Where it is on the host.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

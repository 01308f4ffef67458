// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A disk that becomes longer while a guest lives on it, checked from both sides.

use anyhow::{Result, ensure};

use super::{Disk, Guest};
use crate::daemon::Daemon;

/// How long the image becomes, in bytes.
const GROWN: u64 = 256 << 20;

/// Where the guest writes then: this many bytes before the end.
const BLOCK: u64 = 4096;

/// What the guest writes there.
const TEXT: &str = "The disk has grown.";

/// A guest has found the new end of its disk, and written there.
#[derive(Debug)]
#[must_use = "what the guest has written is still to be checked"]
pub struct DiskGrowth(());

impl DiskGrowth {
    /// Makes the image longer below the running guest, and tells the daemon that serves it; the
    /// guest finds that out and writes at the new end.
    ///
    /// # Errors
    /// The image cannot be made longer, or the guest does not see it or cannot write there.
    pub fn run(guest: &mut Guest, daemon: &Daemon, disk: &Disk) -> Result<Self> {
        const SIZE: &str = "/sys/block/vda/size";
        let sectors = GROWN / 512;
        let before = guest.shell(&format!("cat {SIZE}"))?;
        ensure!(before != sectors.to_string(), "the disk has {before} sectors already");
        disk.set_len(GROWN)?;
        daemon.process().signal(libc::SIGUSR1);
        let is_there = format!("[ $(cat {SIZE}) = {sectors} ]");
        let wait = format!("for n in $(seq 1000); do {is_there} && break; usleep 10000; done");
        guest.shell(&format!("{wait}; {is_there}"))?;
        let at = GROWN / BLOCK - 1;
        let written = format!("dd of=/dev/vda bs={BLOCK} seek={at} conv=notrunc,sync oflag=direct");
        guest.shell(&format!("printf '{TEXT}' | {written}"))?;
        Ok(Self(()))
    }

    /// Compares what the guest wrote with the image.
    ///
    /// # Errors
    /// They differ.
    pub fn check(self, disk: &Disk) -> Result<()> {
        let there = disk.read_at(GROWN - BLOCK, TEXT.len())?;
        let there = String::from_utf8_lossy(&there);
        ensure!(there == TEXT, "{there:?} at the end of the image instead of {TEXT:?}");
        Ok(())
    }
}

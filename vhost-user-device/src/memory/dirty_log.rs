// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Which pages of guest memory were written, for a front end that migrates the guest (vhost-user,
//! "Migration"; SET_LOG_BASE): a bit for each page of 4096 bytes of guest addresses.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};

use super::mapped::{MapError, Mapped};

/// Bytes of guest memory that one bit stands for.
const PAGE: u64 = 4096;

/// A dirty log in memory that the front end shares. It takes bits away as we set them.
pub(crate) struct DirtyLog {
    mapped: Mapped,
    /// The last page that it has no bit for, and that should have got one; zero for none.
    missed: AtomicU64,
}

impl DirtyLog {
    /// The log in `len` bytes of `file` from `offset` on: SET_LOG_BASE.
    pub(crate) fn map(file: File, offset: u64, len: u64) -> Result<Self, MapError> {
        Ok(Self { mapped: Mapped::new(file, offset, len)?, missed: AtomicU64::new(0) })
    }

    /// Marks the pages that hold the `len` bytes from the guest address `start` on. They have been
    /// written before: who finds the mark finds what it is for.
    pub(crate) fn mark(&self, start: u64, len: u64) {
        let Some(last) = len.checked_sub(1).map(|more| start.saturating_add(more)) else { return };
        let (mut page, last) = (start / PAGE, last / PAGE);
        while page <= last {
            // The pages up to `last` that have their bits in the same byte.
            let count = (8 - page % 8).min(last - page + 1);
            let bits = (0xff_u8 >> (8 - count)) << (page % 8);
            if !self.set(page / 8, bits) {
                self.missed.store(last, Ordering::Relaxed);
                return;
            }
            page += count;
        }
    }

    fn set(&self, byte: u64, bits: u8) -> bool {
        let byte = usize::try_from(byte).ok().and_then(|at| self.mapped.piece(at, 1));
        // Always, also if the bits seem to be set: the front end may be about to take them away, and
        // would then read the pages before it sees what we wrote.
        byte.is_some_and(|byte| byte.fetch_or(bits))
    }

    /// A guest address that was written and that the log has no bit for. It is told once.
    pub(crate) fn take_missed(&self) -> Option<u64> {
        let page = self.missed.swap(0, Ordering::Relaxed);
        (page != 0).then(|| page.saturating_mul(PAGE))
    }

    /// Whether pages of the log itself could not be had.
    pub(crate) fn is_lost(&self) -> bool {
        self.mapped.is_lost()
    }
}

impl std::fmt::Debug for DirtyLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirtyLog").finish_non_exhaustive()
    }
}

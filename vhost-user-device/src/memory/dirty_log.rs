// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Which pages of guest memory were written, for a front end that migrates the guest (vhost-user,
//! "Migration"; SET_LOG_BASE): a bit for each page of 4096 bytes of guest addresses.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};

use super::mapped::{MapError, Mapped};

/// Bytes of guest memory that one bit stands for.
const PAGE: u64 = 4096;

/// A dirty log in memory that the front end shares. It takes bits away as we set them.
pub(crate) struct DirtyLog {
    mapped: Mapped,
    /// It was said that the log is too short.
    too_short: AtomicBool,
}

impl DirtyLog {
    /// The log in `len` bytes of `file` from `offset` on: SET_LOG_BASE.
    pub(crate) fn map(file: File, offset: u64, len: u64) -> Result<Self, MapError> {
        let mapped = Mapped::new(file, offset, len)?;
        Ok(Self { mapped, too_short: AtomicBool::new(false) })
    }

    /// Marks the pages that hold the `len` bytes from the guest address `start` on. They have been
    /// written before: who finds the mark finds what it is for.
    pub(crate) fn mark(&self, start: u64, len: u64) {
        let Some(last) = len.checked_sub(1).map(|more| start.saturating_add(more)) else { return };
        for page in start / PAGE..=last / PAGE {
            if !self.mark_page(page) && !self.too_short.swap(true, Ordering::Relaxed) {
                log::warn!(
                    "front end: the dirty log has no bit for guest address {:#x}: what is written \
                     there is not logged",
                    page.saturating_mul(PAGE)
                );
            }
        }
    }

    fn mark_page(&self, page: u64) -> bool {
        let byte = usize::try_from(page / 8).ok().and_then(|at| self.mapped.piece(at, 1));
        // Always, also if the bit seems to be set: the front end may be about to take it away, and
        // would then read the page before it sees what we wrote.
        byte.is_some_and(|byte| byte.fetch_or(1 << (page % 8)))
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

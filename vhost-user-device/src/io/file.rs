// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A file of the host's, and operations on it that the calling thread does itself.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use super::habit::Habit;
use super::{MayBounce, Operation, Transfer, Tries};
use crate::ring::Request;
use crate::sys;

/// A file that requests are served from.
#[derive(Debug)]
pub struct HostFile {
    file: File,
    access: Access,
    /// Whether the file system can say that a read would wait (RWF_NOWAIT).
    nowait: AtomicBool,
}

/// How a file was opened, and what that means for transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its data may be in the host's page cache. What is there is read at once, and writes to it
    /// are made at once while they do not wait.
    Cached,
    /// With O_DIRECT. What is not aligned goes through a buffer of ours, and a read that is not
    /// aligned in the file reads more than was asked for. A write that is not is refused by the host.
    Direct {
        /// The alignment of memory, in bytes: a power of two.
        memory: usize,
        /// That of offsets in the file, and of lengths, in bytes: a power of two.
        offset: usize,
    },
    /// In the host's memory, where nothing waits: all is done at once.
    Memory,
}

impl HostFile {
    /// `file` must have been opened as `access` says.
    pub fn new(file: File, access: Access) -> Self {
        Self { file, access, nowait: AtomicBool::new(access == Access::Cached) }
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn access(&self) -> Access {
        self.access
    }

    /// Whether an operation is tried at once although it may wait after all.
    #[inline]
    pub(super) fn may_wait_at_once(&self, operation: &Operation) -> bool {
        self.access == Access::Cached && matches!(operation, Operation::Write { .. })
    }

    /// Does what need not wait of an operation. Returns how many bytes of it are done.
    ///
    /// # Errors
    /// It is over: the host says no.
    #[inline]
    pub(super) fn at_once(
        &self,
        operation: &Operation,
        request: &Request,
        transfer: &mut Transfer,
        writes: &mut Habit,
    ) -> io::Result<usize> {
        match (self.access, operation) {
            (Access::Cached, Operation::Read { .. }) if self.nowait.load(Ordering::Relaxed) => {
                Ok(self.read_cached(operation, request, transfer))
            }
            (Access::Cached, Operation::Write { .. }) => {
                let write = || self.perform(operation, 0, request, transfer);
                writes.attempt(write).unwrap_or(Ok(0))
            }
            (Access::Memory, Operation::Read { .. } | Operation::Write { .. }) => {
                self.perform(operation, 0, request, transfer)
            }
            _ => Ok(0),
        }
    }

    /// Reads what is in the page cache, as far as it is.
    #[inline]
    fn read_cached(
        &self,
        operation: &Operation,
        request: &Request,
        transfer: &mut Transfer,
    ) -> usize {
        transfer.point_to(operation, 0, request);
        let read =
            sys::read_at(self.file.as_fd(), transfer.pieces(), transfer.offset(), libc::RWF_NOWAIT);
        match read {
            Ok(read) => read,
            Err(error) => {
                // Some file systems cannot say.
                if error.raw_os_error() == Some(libc::EOPNOTSUPP) {
                    self.nowait.store(false, Ordering::Relaxed);
                }
                0
            }
        }
    }

    /// Does the rest of an operation of which `done` bytes are done, however long that takes.
    /// Returns how many bytes are done then.
    pub(super) fn perform(
        &self,
        operation: &Operation,
        mut done: usize,
        request: &Request,
        transfer: &mut Transfer,
    ) -> io::Result<usize> {
        match operation {
            Operation::Sync => return sys::sync_data(&self.file).map(|()| 0),
            Operation::Allocate { mode, offset, len } => {
                return sys::allocate(&self.file, *mode, *offset, *len).map(|()| 0);
            }
            Operation::Discard { offset, len } => {
                return sys::discard(&self.file, *offset, *len).map(|()| 0);
            }
            Operation::Read { .. } | Operation::Write { .. } => {}
        }
        let mut tries = Tries::default();
        while done < operation.len() {
            transfer.plan(self.access, operation, done, request, MayBounce::Yes)?;
            let (pieces, offset) = (transfer.pieces(), transfer.offset());
            let result = match operation {
                Operation::Write { .. } => sys::write_at(self.file.as_fd(), pieces, offset, 0),
                _ => sys::read_at(self.file.as_fd(), pieces, offset, 0),
            };
            match result.map(|moved| transfer.took(operation, done, request, moved)) {
                Ok(0) => break,
                Ok(more) => done += more,
                Err(error) if tries.again_after(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

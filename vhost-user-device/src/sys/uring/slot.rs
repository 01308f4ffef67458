// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Operations in flight, each in a slot that has a number.

use std::io;
use std::os::fd::AsRawFd;

use io_uring::types::{Fd, FsyncFlags};
use io_uring::{opcode, squeue};

use crate::io::{Job, MayBounce, Operation, Transfer, Tries};
use crate::sys::file::iovecs;

/// An operation in flight. What the kernel was pointed to stays where it is until it is done.
pub(super) struct Slot {
    job: Job,
    transfer: Transfer,
    tries: Tries,
}

/// How far the kernel has come.
pub(super) enum Taken {
    /// There is more to be done.
    InPart,
    /// It is done, so many bytes of it.
    Whole(io::Result<usize>),
}

/// The slots of one io_uring: as many as there were ever operations in flight at once.
#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// Transfers that were used before, with the room that their lists have grown to.
    spares: Vec<Transfer>,
}

impl Slots {
    /// Takes a slot for an operation, and returns its number.
    pub(super) fn add(&mut self, job: Job) -> usize {
        let transfer = self.spares.pop().unwrap_or_default();
        let slot = Some(Slot { job, transfer, tries: Tries::default() });
        let at = self.free.pop().unwrap_or(self.slots.len());
        match self.slots.get_mut(at) {
            Some(place) => *place = slot,
            None => self.slots.push(slot),
        }
        at
    }

    pub(super) fn get(&mut self, at: usize) -> Option<&mut Slot> {
        self.slots.get_mut(at)?.as_mut()
    }

    /// Frees a slot, of which the kernel knows no more.
    pub(super) fn remove(&mut self, at: usize) -> Option<Job> {
        let Slot { job, mut transfer, .. } = self.slots.get_mut(at)?.take()?;
        self.free.push(at);
        transfer.clear();
        self.spares.push(transfer);
        Some(job)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

impl Slot {
    /// Plans what is left. Returns whether it can be submitted now.
    ///
    /// # Errors
    /// It is over: see [`Transfer::plan`].
    pub(super) fn plan(&mut self, may_bounce: MayBounce) -> io::Result<bool> {
        let Job { file, operation, done, request, .. } = &self.job;
        self.transfer.plan(file.access(), operation, *done, request, may_bounce)
    }

    /// How many bytes of ours the transfer that is under way holds.
    pub(super) fn holds(&self) -> usize {
        self.transfer.holds()
    }

    /// What was planned, as the kernel is told.
    pub(super) fn entry(&self) -> squeue::Entry {
        let Job { file, operation, .. } = &self.job;
        let fd = Fd(file.file().as_raw_fd());
        let offset = self.transfer.offset();
        let (pieces, count) = iovecs(self.transfer.pieces());
        match operation {
            Operation::Read { .. } => {
                opcode::Readv::new(fd, pieces, count.into()).offset(offset).build()
            }
            Operation::Write { .. } => {
                opcode::Writev::new(fd, pieces, count.into()).offset(offset).build()
            }
            Operation::Allocate { mode, len, .. } => {
                opcode::Fallocate::new(fd, *len).offset(offset).mode(*mode).build()
            }
            // What discards does not come here.
            Operation::Sync | Operation::Discard { .. } => {
                opcode::Fsync::new(fd).flags(FsyncFlags::DATASYNC).build()
            }
        }
    }

    /// Takes what the kernel answered.
    pub(super) fn took(&mut self, result: i32) -> Taken {
        let Job { operation, done, request, .. } = &mut self.job;
        match usize::try_from(result) {
            Ok(moved) => {
                let more = self.transfer.took(operation, *done, request, moved);
                *done += more;
                if more != 0 && *done < operation.len() {
                    Taken::InPart
                } else {
                    Taken::Whole(Ok(*done))
                }
            }
            Err(_) => {
                let error = io::Error::from_raw_os_error(-result);
                // What has no bytes is not tried again: a loss that a sync told is told only once.
                if operation.len() != 0 && self.tries.again_after(&error) {
                    Taken::InPart
                } else {
                    Taken::Whole(Err(error))
                }
            }
        }
    }
}

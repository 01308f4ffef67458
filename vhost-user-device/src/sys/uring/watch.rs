// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Descriptors that the kernel watches for us.

use std::mem;
use std::os::fd::RawFd;

use io_uring::types::Fd;
use io_uring::{cqueue, opcode, squeue};

use crate::sys::poll::Wait;

/// Whether the kernel watches a descriptor, and what it saw since that was asked last.
#[derive(Clone, Copy)]
pub(super) struct Watched {
    name: u64,
    armed: bool,
    seen: Wait,
}

impl Watched {
    /// Not watched yet; what is seen comes under this name.
    pub(super) fn new(name: u64) -> Self {
        Self { name, armed: false, seen: Wait::Nothing }
    }

    /// For the descriptor that comes in the place of this one.
    pub(super) fn next(&self) -> Self {
        Self::new(self.name + 1)
    }

    pub(super) fn name(&self) -> u64 {
        self.name
    }

    /// What has the descriptor watched until it is dead, unless it is.
    pub(super) fn arm(&mut self, fd: RawFd) -> Option<squeue::Entry> {
        if mem::replace(&mut self.armed, true) {
            return None;
        }
        let events = libc::POLLIN as u32;
        Some(opcode::PollAdd::new(Fd(fd), events).multi(true).build().user_data(self.name))
    }

    /// What ends that, if it is watched; its own result comes under the name `done`.
    pub(super) fn disarm(&self, done: u64) -> Option<squeue::Entry> {
        self.armed.then(|| opcode::PollRemove::new(self.name).build().user_data(done))
    }

    /// Whether the kernel has the descriptor.
    pub(super) fn is_armed(&self) -> bool {
        self.armed
    }

    /// Takes what the kernel saw.
    pub(super) fn saw(&mut self, entry: &cqueue::Entry) {
        if !cqueue::more(entry.flags()) {
            self.armed = false;
        }
        let readable = entry.result() >= 0 && entry.result() & i32::from(libc::POLLIN) != 0;
        self.seen = if readable { Wait::Readable } else { Wait::Dead };
    }

    pub(super) fn has_seen(&self) -> bool {
        self.seen != Wait::Nothing
    }

    /// What was seen since this was asked last.
    pub(super) fn take(&mut self) -> Wait {
        mem::replace(&mut self.seen, Wait::Nothing)
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The counters by which driver and device notify each other: kick, call and err descriptors.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use crate::deadline::Deadline;
use crate::sys;

/// An event counter: writing adds to it, reading takes all of it.
#[derive(Debug)]
pub struct EventFd(File);

impl EventFd {
    /// A new counter at zero.
    pub fn new() -> Self {
        Self(sys::eventfd().expect("make an eventfd"))
    }

    /// Adds one.
    pub fn signal(&self) {
        (&self.0).write_all(&1u64.to_ne_bytes()).expect("signal an eventfd");
    }

    /// Takes what was added since the last time, without waiting for more.
    pub fn take(&self) -> u64 {
        let mut count = [0; 8];
        match (&self.0).read_exact(&mut count) {
            Ok(()) => u64::from_ne_bytes(count),
            Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
            Err(e) => panic!("read an eventfd: {e}"),
        }
    }

    /// Waits until it was signalled and takes the count; 0 when the time is over before that.
    pub fn wait(&self, deadline: Deadline) -> u64 {
        if deadline.readable(&self.0) { self.take() } else { 0 }
    }
}

impl Default for EventFd {
    fn default() -> Self {
        Self::new()
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

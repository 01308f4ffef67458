// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Waiting for descriptors and conditions, never longer than the patience of a test.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use crate::sys;

/// How long anything may take before the test that waits for it fails.
///
/// What is waited for takes milliseconds; the rest is for machines with much else to do.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A point in time that ends a wait.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The usual one, [`PATIENCE`] from now.
    pub fn new() -> Self {
        Self::after(PATIENCE)
    }

    /// One `patience` from now.
    pub fn after(patience: Duration) -> Self {
        Self(Instant::now() + patience)
    }

    /// One that nobody lives to see: for a thread that waits to be ended.
    pub fn never() -> Self {
        Self::after(Duration::from_secs(1 << 30))
    }

    /// Whether it has passed.
    pub fn is_over(self) -> bool {
        self.left().is_zero()
    }

    /// The time until then; zero when it has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Waits until `fd` can be read from, or its other end has hung up; `false` when the time is
    /// over before that.
    pub fn readable(self, fd: &impl AsFd) -> bool {
        self.first(&[fd.as_fd()], libc::POLLIN).is_some()
    }

    /// Waits until one of `fds` can be read from, and says which; `None` when the time is over
    /// before that.
    pub fn first_readable(self, fds: &[BorrowedFd<'_>]) -> Option<usize> {
        self.first(fds, libc::POLLIN)
    }

    /// Waits until `fd` can be written to; `false` when the time is over before that.
    pub fn writable(self, fd: &impl AsFd) -> bool {
        self.first(&[fd.as_fd()], libc::POLLOUT).is_some()
    }

    fn first(self, fds: &[BorrowedFd<'_>], events: i16) -> Option<usize> {
        loop {
            match sys::poll(fds, events, self.left()) {
                Ok(ready) => return ready,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => (),
                Err(e) => panic!("poll descriptors: {e}"),
            }
        }
    }
}

impl Default for Deadline {
    fn default() -> Self {
        Self::new()
    }
}

/// Looks again and again until `look` returns something, and returns that.
///
/// For what no descriptor tells: memory that another process writes, or a count under `/proc`.
///
/// # Panics
/// When the patience is over: `what` says in vain what was waited for.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::new();
    let mut pause = Duration::from_micros(1);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(!deadline.is_over(), "waited in vain for {what}");
        std::thread::park_timeout(pause);
        pause = (pause * 2).min(Duration::from_millis(2));
    }
}

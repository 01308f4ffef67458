// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Waiting for several descriptors at once, each with a fixed part in the control loop.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use epoll::{ControlOptions, Event, Events};

use crate::sys;

/// The parts that a descriptor can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Signals have come.
    Signals = 1,
    /// A front end wants to connect.
    Door = 2,
    /// The connection's socket.
    Socket = 4,
    /// Queue threads have acked.
    Acks = 8,
    /// The host says something of what the device stands on.
    Host = 16,
}

/// Which parts are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready(u64);

impl Ready {
    pub(crate) fn has(self, part: Part) -> bool {
        self.0 & part as u64 != 0
    }
}

/// An epoll set with at most one descriptor for each part.
#[derive(Debug)]
pub(crate) struct Poller(OwnedFd);

impl Poller {
    /// # Errors
    /// Those of epoll_create1(2).
    pub(crate) fn new() -> io::Result<Self> {
        sys::process::epoll().map(Self)
    }

    /// Waits for `fd` to become readable from now on.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub(crate) fn watch_readable(&self, fd: BorrowedFd<'_>, part: Part) -> io::Result<()> {
        self.control(ControlOptions::EPOLL_CTL_ADD, fd, Events::EPOLLIN, part)
    }

    /// Waits for `fd` to become writable from now on.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub(crate) fn watch_writable(&self, fd: BorrowedFd<'_>, part: Part) -> io::Result<()> {
        self.control(ControlOptions::EPOLL_CTL_ADD, fd, Events::EPOLLOUT, part)
    }

    /// No longer waits for `fd`, not even for an error or for the other side to hang up: epoll
    /// reports these for every descriptor that it has, wanted or not.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub(crate) fn forget(&self, fd: BorrowedFd<'_>, part: Part) -> io::Result<()> {
        self.control(ControlOptions::EPOLL_CTL_DEL, fd, Events::empty(), part)
    }

    fn control(
        &self,
        operation: ControlOptions,
        fd: BorrowedFd<'_>,
        events: Events,
        part: Part,
    ) -> io::Result<()> {
        epoll::ctl(self.0.as_raw_fd(), operation, fd.as_raw_fd(), Event::new(events, part as u64))
    }

    /// Waits until a part is ready or `until` has come; nothing may be ready then, or earlier.
    ///
    /// # Errors
    /// Those of epoll_wait(2), but for EINTR.
    pub(crate) fn wait(&self, until: Option<Instant>) -> io::Result<Ready> {
        let mut events = [Event::new(Events::empty(), 0); 5];
        let timeout = until.map_or(-1, |until| milliseconds(until - Instant::now().min(until)));
        match epoll::wait(self.0.as_raw_fd(), timeout, &mut events) {
            Ok(count) => {
                let parts = events.iter().take(count);
                Ok(Ready(parts.fold(0, |ready, event| ready | event.data)))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Ready(0)),
            Err(error) => Err(error),
        }
    }
}

/// Whole milliseconds, rounded up so that a wait does not end just before its time.
fn milliseconds(wait: Duration) -> i32 {
    i32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;

    #[test]
    fn wait_tells_the_parts_that_are_ready_and_no_other() {
        let poller = Poller::new().unwrap();
        let (mut a, b) = UnixStream::pair().unwrap();
        let (_c, d) = UnixStream::pair().unwrap();
        poller.watch_readable(b.as_fd(), Part::Acks).unwrap();
        poller.watch_readable(d.as_fd(), Part::Door).unwrap();
        a.write_all(b"x").unwrap();
        assert_eq!(poller.wait(None).unwrap(), Ready(Part::Acks as u64));
    }

    #[test]
    fn wait_with_nothing_ready_ends_in_time() {
        let poller = Poller::new().unwrap();
        let until = Instant::now() + Duration::from_millis(20);
        assert_eq!(poller.wait(Some(until)).unwrap(), Ready(0));
        assert!(Instant::now() >= until);
    }

    #[test]
    fn forgotten_descriptor_that_hung_up_wakes_nobody() {
        let poller = Poller::new().unwrap();
        let (a, b) = UnixStream::pair().unwrap();
        poller.watch_readable(b.as_fd(), Part::Socket).unwrap();
        drop(a);
        assert!(poller.wait(None).unwrap().has(Part::Socket));
        poller.forget(b.as_fd(), Part::Socket).unwrap();
        assert_eq!(poller.wait(Some(Instant::now() + AT_ONCE)).unwrap(), Ready(0));
    }

    #[test]
    fn milliseconds_of_a_fraction_are_rounded_up() {
        assert_eq!(milliseconds(Duration::from_nanos(1)), 1);
        assert_eq!(milliseconds(Duration::ZERO), 0);
        assert_eq!(milliseconds(Duration::MAX), i32::MAX);
    }
}

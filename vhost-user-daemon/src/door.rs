// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The listening socket in the control loop: whom to let in, whom to turn away, and when to pause.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use vhost_user_device::{RateLimit, turn_away};

use crate::backoff::Backoff;
use crate::poller::{Part, Poller};

#[derive(Debug)]
pub(crate) struct Door {
    /// Not closed before the process ends: with it go those who wait outside, with all that they
    /// have sent, and closing a socket that they have sent may take its time.
    listener: ManuallyDrop<UnixListener>,
    watched: bool,
    /// Set while the system has nothing left for a new connection.
    closed_until: Option<Instant>,
    backoff: Backoff,
    refusals: RateLimit,
    shortages: RateLimit,
}

impl Door {
    /// # Errors
    /// The socket cannot be made non-blocking.
    pub(crate) fn new(listener: UnixListener) -> Result<Self, DoorError> {
        // Another process may have accepted what we were told of.
        listener.set_nonblocking(true).map_err(DoorError::Block)?;
        Ok(Self {
            listener: ManuallyDrop::new(listener),
            watched: false,
            closed_until: None,
            backoff: Backoff::new(),
            refusals: RateLimit::new(),
            shortages: RateLimit::new(),
        })
    }

    /// Watches the socket if somebody who comes is `wanted`, be it to be refused; otherwise those
    /// who come wait outside.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub(crate) fn open(&mut self, poller: &Poller, wanted: bool) -> io::Result<()> {
        if self.closed_until.is_some_and(|until| until <= Instant::now()) {
            self.closed_until = None;
        }
        let watch = wanted && self.closed_until.is_none();
        match (self.watched, watch) {
            (false, true) => poller.watch_readable(self.listener.as_fd(), Part::Door)?,
            (true, false) => poller.forget(self.listener.as_fd(), Part::Door)?,
            _ => {}
        }
        self.watched = watch;
        Ok(())
    }

    /// When [`Door::open`] is worth another call.
    pub(crate) fn closed_until(&self) -> Option<Instant> {
        self.closed_until
    }

    /// Lets in whoever is first, or nobody: they may be gone, or the system has no room, in which
    /// case the door stays closed for a while.
    ///
    /// # Errors
    /// The socket is of no use any more.
    pub(crate) fn accept(&mut self) -> Result<Option<UnixStream>, DoorError> {
        match self.listener.accept() {
            Ok((stream, _)) => {
                self.backoff.after_success(Duration::MAX);
                Ok(Some(stream))
            }
            Err(error) => self.nobody(error).map(|()| None),
        }
    }

    /// Turns away whoever is first, since another front end is being served.
    ///
    /// # Errors
    /// The socket is of no use any more.
    pub(crate) fn refuse(&mut self) -> Result<(), DoorError> {
        let Some(stream) = self.accept()? else {
            return Ok(());
        };
        turn_away(stream);
        if let Some(left_out) = self.refusals.allow() {
            log::warn!(
                "refused a front end, because another one is being served{}",
                left_out_text(left_out)
            );
        }
        Ok(())
    }

    fn nobody(&mut self, error: io::Error) -> Result<(), DoorError> {
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR | libc::ECONNABORTED) => Ok(()),
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                self.closed_until = Some(Instant::now() + self.backoff.after_failure());
                if let Some(left_out) = self.shortages.allow() {
                    log::error!(
                        "accept a front end: {error}; it has to wait{}",
                        left_out_text(left_out)
                    );
                }
                Ok(())
            }
            _ => Err(DoorError::Accept(error)),
        }
    }
}

fn left_out_text(count: u64) -> String {
    match count {
        0 => String::new(),
        count => format!(" ({count} more messages like this were left out)"),
    }
}

/// The listening socket fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DoorError {
    #[error("make the listening socket non-blocking")]
    Block(#[source] io::Error),

    #[error("accept a front end")]
    Accept(#[source] io::Error),
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::PathBuf;

    use super::*;

    struct Street {
        _room: tempfile::TempDir,
        path: PathBuf,
        door: Door,
        poller: Poller,
    }

    fn street() -> Street {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("socket");
        let door = Door::new(UnixListener::bind(&path).unwrap()).unwrap();
        Street { _room: room, path, door, poller: Poller::new().unwrap() }
    }

    fn is_told(street: &Street) -> bool {
        street.poller.wait(Some(Instant::now())).unwrap().has(Part::Door)
    }

    #[test]
    fn door_wanted_tells_of_whoever_comes() {
        let mut street = street();
        street.door.open(&street.poller, true).unwrap();
        assert!(!is_told(&street));
        let _front_end = UnixStream::connect(&street.path).unwrap();
        assert!(is_told(&street));
        assert!(street.door.accept().unwrap().is_some());
        assert!(!is_told(&street));
    }

    #[test]
    fn door_not_wanted_lets_them_wait() {
        let mut street = street();
        street.door.open(&street.poller, true).unwrap();
        street.door.open(&street.poller, false).unwrap();
        let _front_end = UnixStream::connect(&street.path).unwrap();
        assert!(!is_told(&street));
        street.door.open(&street.poller, true).unwrap();
        assert!(is_told(&street));
    }

    #[test]
    fn front_end_refused_finds_the_connection_closed() {
        let mut street = street();
        let mut front_end = UnixStream::connect(&street.path).unwrap();
        street.door.refuse().unwrap();
        assert_eq!(front_end.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn front_end_taken_by_another_process_is_nobody() {
        let mut street = street();
        assert!(street.door.accept().unwrap().is_none());
        assert_eq!(street.door.closed_until(), None);
    }

    #[test]
    fn door_without_descriptors_left_is_closed_for_a_while_and_then_opens() {
        let mut street = street();
        let _front_end = UnixStream::connect(&street.path).unwrap();
        street.door.nobody(io::Error::from_raw_os_error(libc::EMFILE)).unwrap();
        let until = street.door.closed_until().unwrap();
        street.door.open(&street.poller, true).unwrap();
        assert!(!is_told(&street), "it would spin");
        assert!(!street.poller.wait(Some(until)).unwrap().has(Part::Door));
        street.door.open(&street.poller, true).unwrap();
        assert!(is_told(&street));
        assert_eq!(street.door.closed_until(), None);
    }

    #[test]
    fn door_that_is_broken_is_an_error() {
        let error = street().door.nobody(io::Error::from_raw_os_error(libc::EINVAL)).unwrap_err();
        assert_eq!(error.to_string(), "accept a front end");
    }
}

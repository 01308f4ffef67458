// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The control loop: connection after connection, until a signal asks for the end.
//!
//! One thread waits for the signals, the listening socket, the connection's socket, the acks of the
//! queue threads and what the host says of the device's side, all at once, so that half a message
//! or a slow disk holds up nothing else. A front end that comes while another one is served is
//! refused; one that comes while the queues still finish what the last one left waits for its turn.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vhost_user_device::{Device, Ended, Interest, Phase};

use crate::backoff::Backoff;
use crate::door::{Door, DoorError};
use crate::drive::{Drive, Sessions};
use crate::notify::Supervisor;
use crate::policy::Policy;
use crate::poller::{Part, Poller, Ready};
use crate::signals::Signals;
use crate::socket::{FrontEnd, Socket};
use crate::sys;

/// How long requests in flight may take after a signal asked for the end.
const LONGEST_DRAIN: Duration = Duration::from_secs(2);

/// How serving came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// A signal asked for it, or the only connection is over; nothing is in flight.
    ToTheEnd,
    /// A signal asked for it, and requests are still in flight: whoever waits for the queue threads
    /// now may wait for ever.
    InPart,
}

/// The host's side of a device, as far as the loop sees it.
pub(crate) trait HostSide {
    /// [`Device::changes`].
    fn changes(&self) -> Option<BorrowedFd<'_>>;

    /// [`Device::take_changes`].
    fn take_changes(&self) -> bool;

    /// [`Device::refresh`].
    fn refresh(&self) -> bool;
}

impl<D: Device> HostSide for D {
    fn changes(&self) -> Option<BorrowedFd<'_>> {
        Device::changes(self)
    }

    fn take_changes(&self) -> bool {
        Device::take_changes(self)
    }

    fn refresh(&self) -> bool {
        Device::refresh(self)
    }
}

/// What the loop needs: its descriptors, one set in which the signals and the host's side always
/// are, and whom to ask when one of them wants the device to look at that side again.
pub(crate) struct Control<'d> {
    poller: Poller,
    signals: Signals,
    manager: Supervisor,
    host: &'d dyn HostSide,
    policy: Policy,
    longest_drain: Duration,
}

/// What signals or the host's side have led to.
#[derive(Clone, Copy, Debug)]
struct Heard {
    /// There is to be an end.
    end: bool,
    /// The config space is another one now.
    config_changed: bool,
}

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By itself.
    Over,
    /// A signal asked for it, or for there to be no further one.
    Stopped,
    /// A signal asked for it, and requests are still in flight.
    Abandoned,
}

impl<'d> Control<'d> {
    /// Gets all that the loop needs, so that it cannot fail for want of it later.
    ///
    /// # Errors
    /// Those of epoll_create1(2) and epoll_ctl(2).
    pub(crate) fn new(
        signals: Signals,
        manager: Supervisor,
        host: &'d dyn HostSide,
        policy: Policy,
    ) -> Result<Self, ServeError> {
        let poller = Poller::new()?;
        poller.watch_readable(signals.descriptor(), Part::Signals)?;
        if let Some(changes) = host.changes() {
            poller.watch_readable(changes, Part::Host)?;
        }
        Ok(Self { poller, signals, manager, host, policy, longest_drain: LONGEST_DRAIN })
    }

    /// Says that front ends can connect, to the service manager, if there is one.
    pub(crate) fn ready(&self) {
        self.manager.ready();
    }

    /// Serves `backend` to the front ends that come by `socket`.
    ///
    /// # Errors
    /// The listening socket or the descriptors of the loop itself fail.
    pub(crate) fn serve(
        mut self,
        socket: Socket,
        backend: &mut impl Sessions,
    ) -> Result<Served, ServeError> {
        let last = match socket {
            Socket::Connected(stream) => self.serve_connection(backend, stream, None)?,
            Socket::Listening(listener) => self.serve_those_that_come(backend, listener)?,
            Socket::Connecting(front_end) => self.serve_the_one_at(backend, &front_end)?,
        };
        match last {
            End::Over | End::Stopped => Ok(Served::ToTheEnd),
            End::Abandoned => Ok(Served::InPart),
        }
    }

    fn serve_those_that_come(
        &mut self,
        backend: &mut impl Sessions,
        listener: UnixListener,
    ) -> Result<End, ServeError> {
        let mut door = Door::new(listener)?;
        loop {
            // Kata Containers waits for the first line to contain exactly this.
            log::info!("Waiting for vhost-user socket connection...");
            let Some(stream) = self.next_to_come(&mut door)? else {
                return Ok(End::Stopped);
            };
            match self.serve_connection(backend, stream, Some(&mut door))? {
                End::Over if self.policy.keep_listening => {}
                end => return Ok(end),
            }
        }
    }

    /// The next front end that connects, or `None` if a signal asks for the end first.
    fn next_to_come(&mut self, door: &mut Door) -> Result<Option<UnixStream>, ServeError> {
        loop {
            door.open(&self.poller, true)?;
            let ready = self.poller.wait(door.closed_until())?;
            if self.hear(ready)?.end {
                return Ok(None);
            }
            if ready.has(Part::Door)
                && let Some(stream) = door.accept()?
            {
                return Ok(Some(stream));
            }
        }
    }

    fn serve_the_one_at(
        &mut self,
        backend: &mut impl Sessions,
        front_end: &FrontEnd,
    ) -> Result<End, ServeError> {
        let path = front_end.path.as_ref();
        let mut backoff = Backoff::new();
        let mut said = false;
        loop {
            match connect(front_end.address()) {
                Ok(stream) => {
                    said = false;
                    let start = Instant::now();
                    match self.serve_connection(backend, stream, None)? {
                        End::Over if !self.policy.keep_listening => return Ok(End::Over),
                        End::Over => backoff.after_success(start.elapsed()),
                        end => return Ok(end),
                    }
                }
                Err(_) if front_end.is_out_of_reach() => {
                    return Err(ServeError::OutOfReach(path.to_owned()));
                }
                Err(error) if said => log::debug!("connect to {path:?}: {error}"),
                Err(error) => {
                    log::warn!("connect to {path:?}: {error}; trying until it works");
                    said = true;
                }
            }
            if self.stopped_within(backoff.after_failure())? {
                return Ok(End::Stopped);
            }
        }
    }

    /// Whether a signal asks for the end before `wait` is over.
    fn stopped_within(&mut self, wait: Duration) -> Result<bool, ServeError> {
        let until = Instant::now() + wait;
        while Instant::now() < until {
            let ready = self.poller.wait(Some(until))?;
            if self.hear(ready)?.end {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the signals and what the host says, as far as they are ready, and does what needs no
    /// connection: has the device look again, and says the end, if there is to be one, to all that
    /// want to know.
    fn hear(&mut self, ready: Ready) -> Result<Heard, ServeError> {
        let mut heard = Heard { end: false, config_changed: false };
        // Whoever connects next reads the config space as it is then.
        if ready.has(Part::Host) {
            heard.config_changed |= self.host.take_changes();
        }
        if ready.has(Part::Signals) {
            let wishes = self.signals.wishes().map_err(ServeError::Signals)?;
            heard.config_changed |= wishes.refresh && self.host.refresh();
            heard.end = wishes.end.is_some();
            if let Some(signal) = wishes.end {
                log::info!("{signal}: ending");
                self.manager.stopping();
            }
        }
        Ok(heard)
    }

    /// Does what the signals and the host want of a session that is being served; whether they want
    /// the end.
    fn hear_for(&mut self, session: &mut impl Drive, ready: Ready) -> Result<bool, ServeError> {
        let Heard { end, config_changed } = self.hear(ready)?;
        if session.phase() == Phase::Serving {
            if config_changed {
                session.config_changed();
            }
            if end {
                session.end();
            }
        }
        Ok(end)
    }

    /// Serves one front end until nothing of it is in flight any more, and refuses those that come
    /// to the `door` meanwhile.
    fn serve_connection(
        &mut self,
        backend: &mut impl Sessions,
        stream: UnixStream,
        mut door: Option<&mut Door>,
    ) -> Result<End, ServeError> {
        let mut session = backend.connect(stream);
        log::info!("{}", self.policy.greeting);
        self.poller.watch_readable(session.acks(), Part::Acks)?;
        let mut watched = Interest::Nothing;
        let mut end_by = None;
        while session.phase() != Phase::Ended {
            self.watch_socket(&session, &mut watched)?;
            let mut until = end_by;
            if let Some(door) = &mut door {
                door.open(&self.poller, is_there(&session)?)?;
                until = earlier(until, door.closed_until());
            }
            let ready = self.poller.wait(until)?;
            if ready.has(Part::Acks) {
                session.on_acks();
            } else if ready.has(Part::Socket) {
                session.on_socket();
            }
            // A front end that connects again may be here before we have read that it left.
            if ready.has(Part::Door)
                && is_there(&session)?
                && let Some(door) = &mut door
            {
                door.refuse()?;
            }
            if self.hear_for(&mut session, ready)? && end_by.is_none() {
                end_by = Some(Instant::now() + self.longest_drain);
            }
            let late = end_by.is_some_and(|end_by| end_by <= Instant::now());
            if late && session.phase() != Phase::Ended {
                let bound = self.longest_drain;
                log::error!("requests are still in flight after {bound:?}; leaving them");
                // Dropping it would wait for them.
                std::mem::forget(session);
                return Ok(End::Abandoned);
            }
        }
        self.watch_socket(&session, &mut watched)?;
        self.poller.forget(session.acks(), Part::Acks)?;
        if let Some(Ended::HungUp) = session.ended() {
            log::info!("front end disconnected");
        }
        Ok(end_by.map_or(End::Over, |_| End::Stopped))
    }

    /// Waits for what the session wants from its socket now, if it has changed.
    fn watch_socket(&self, session: &impl Drive, watched: &mut Interest) -> io::Result<()> {
        let wanted = match session.phase() {
            Phase::Serving => session.interest(),
            Phase::Draining | Phase::Ended => Interest::Nothing,
        };
        if wanted == *watched {
            return Ok(());
        }
        if *watched != Interest::Nothing {
            self.poller.forget(session.socket(), Part::Socket)?;
        }
        *watched = wanted;
        match wanted {
            Interest::Readable => self.poller.watch_readable(session.socket(), Part::Socket),
            Interest::Writable => self.poller.watch_writable(session.socket(), Part::Socket),
            Interest::Nothing => Ok(()),
        }
    }
}

/// Whether the front end is being served and has not left.
fn is_there(session: &impl Drive) -> io::Result<bool> {
    Ok(session.phase() == Phase::Serving && !sys::socket::is_hung_up(session.socket())?)
}

/// Connects without waiting for a front end that does not accept.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = sys::socket::unix_stream()?;
    sys::socket::connect(socket.as_fd(), path)?;
    Ok(UnixStream::from(socket))
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The control loop cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("wait for what happens next")]
    Poll(#[from] io::Error),

    #[error("read the signals")]
    Signals(#[source] io::Error),

    #[error("the directory of {0:?} was removed, and from the sandbox no other one can be found")]
    OutOfReach(PathBuf),

    #[error(transparent)]
    Door(#[from] DoorError),
}

#[cfg(test)]
mod tests;

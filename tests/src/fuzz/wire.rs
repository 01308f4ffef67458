// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A connection on which anything is said, and on which the end may come at any time.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use vhost::vhost_user::message::FrontendReq;

use super::twist::Parcel;
use crate::deadline::Deadline;
use crate::frontend::{Message, REPLY};
use crate::sys;

/// The header: request, flags, size.
const HEADER: usize = 12;

/// The daemon did not do in time what it has to do, whatever a front end does.
#[derive(Debug)]
pub(super) struct Hung(pub(super) &'static str);

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    socket: UnixStream,
    /// What came and was not looked at.
    heard: Vec<u8>,
    /// Descriptors that came.
    pub(super) fds: Vec<OwnedFd>,
    /// The daemon still knows where a message begins.
    framed: bool,
    /// The daemon has ended the connection.
    gone: bool,
    /// The features that were offered in the last answer to GET_FEATURES.
    pub(super) offered: u64,
    /// How long it waits for the daemon to do what it has to.
    patience: Duration,
    /// How many messages were sent.
    pub(super) sent: u64,
}

impl Wire {
    /// # Errors
    /// Nobody listens.
    pub(super) fn connect(socket: &Path, patience: Duration) -> io::Result<Self> {
        let socket = UnixStream::connect(socket)?;
        socket.set_nonblocking(true)?;
        let (heard, fds) = (Vec::new(), Vec::new());
        Ok(Self { socket, heard, fds, framed: true, gone: false, offered: 0, patience, sent: 0 })
    }

    /// Whether something can still be said that is understood.
    pub(super) fn is_open(&self) -> bool {
        self.framed && !self.gone
    }

    /// Sends it, if there is still somebody to send it to.
    pub(super) fn send(&mut self, parcel: &Parcel) -> Result<(), Hung> {
        self.sent += 1;
        let first = parcel.cut.unwrap_or(parcel.bytes.len()).min(parcel.bytes.len());
        let (head, tail) = parcel.bytes.split_at(first);
        let (early, late): (&[_], &[_]) =
            if parcel.late { (&[], &parcel.fds) } else { (&parcel.fds, &[]) };
        self.push(head, early)?;
        self.push(tail, late)?;
        self.framed &= parcel.framed;
        self.hear();
        Ok(())
    }

    fn push(&mut self, mut bytes: &[u8], fds: &[OwnedFd]) -> Result<(), Hung> {
        let mut fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        let deadline = Deadline::after(self.patience);
        while !bytes.is_empty() && !self.gone {
            match sys::send(self.socket.as_fd(), bytes, &fds) {
                Ok(taken) => {
                    bytes = &bytes[taken..];
                    fds.clear();
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    // It may wait for us to read its answers.
                    self.hear();
                    if !Deadline::after(Duration::from_millis(5)).writable(&self.socket)
                        && deadline.is_over()
                    {
                        return Err(Hung("it reads no more messages"));
                    }
                }
                // Too many descriptors on their way: those that are there are enough.
                Err(e) if e.raw_os_error() == Some(libc::ETOOMANYREFS) => fds.clear(),
                Err(_) => self.gone = true,
            }
        }
        Ok(())
    }

    /// Takes what has come, and waits for nothing.
    pub(super) fn hear(&mut self) {
        let mut bytes = [0; 4096];
        loop {
            match sys::receive(self.socket.as_fd(), &mut bytes) {
                Ok((0, _)) => {
                    self.gone = true;
                    return;
                }
                Ok((len, fds)) => {
                    self.heard.extend(&bytes[..len]);
                    self.fds.extend(fds);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.gone = true;
                    return;
                }
            }
        }
    }

    /// Returns when all that was said is heard, or the connection is at its end: a question that any
    /// back end answers at any time is answered.
    pub(super) fn settle(&mut self) -> Result<(), Hung> {
        if !self.is_open() {
            return Ok(());
        }
        let question = Message::new(FrontendReq::GET_FEATURES);
        self.send(&Parcel::new(&question, Vec::new()))?;
        let deadline = Deadline::after(self.patience);
        while !self.has_answered(FrontendReq::GET_FEATURES.into()) {
            if self.gone {
                return Ok(());
            }
            if !deadline.readable(&self.socket) {
                return Err(Hung("it answers no message"));
            }
            self.hear();
        }
        Ok(())
    }

    /// Takes the answers that have come, up to one to the last question of this number.
    fn has_answered(&mut self, request: u32) -> bool {
        let mut answered = false;
        while let Some((head, rest)) = self.heard.split_at_checked(HEADER) {
            let (fields, _) = head.as_chunks();
            let [number, flags, size] = [0, 1, 2].map(|i| u32::from_ne_bytes(fields[i]));
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let Some(payload) = rest.get(..size) else { break };
            if number == request && flags & REPLY != 0 {
                answered = true;
                self.offered = payload.try_into().map_or(0, u64::from_ne_bytes);
            }
            let len = HEADER + payload.len();
            self.heard.drain(..len);
        }
        answered && self.heard.is_empty()
    }

    /// The socket, which waits from now on.
    pub(super) fn into_socket(self) -> UnixStream {
        // It is ours, and open.
        self.socket.set_nonblocking(false).expect("make a socket blocking");
        self.socket
    }

    /// Says bytes that need be nothing.
    pub(super) fn mumble(&mut self, bytes: &[u8]) -> Result<(), Hung> {
        self.framed = false;
        self.push(bytes, &[])
    }

    /// Says that nothing more will come.
    pub(super) fn shut(&mut self) {
        self.framed = false;
        // It may be gone.
        let _ = self.socket.shutdown(Shutdown::Write);
    }
}

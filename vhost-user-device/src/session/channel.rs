// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The socket of a connection: whole messages in, replies out, never waiting for either.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use super::message::{Header, HeaderError, MAX_PAYLOAD};
use crate::sys;

/// A whole message as it came.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) header: Header,
    pub(super) payload: Vec<u8>,
    pub(super) fds: Vec<OwnedFd>,
}

/// Why no more messages can be exchanged.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChannelError {
    #[error("the front end closed the connection")]
    HungUp,
    #[error("the front end closed the connection within a message")]
    HungUpInMessage,
    #[error("receive a message")]
    Receive(#[source] io::Error),
    #[error("send a reply")]
    Send(#[source] io::Error),
    #[error("{0}")]
    Header(HeaderError),
    #[error("a message came with more descriptors than can be taken")]
    TooManyDescriptors,
}

/// The socket with the message that is being received and the replies that are yet to be sent.
#[derive(Debug)]
pub(super) struct Channel {
    socket: UnixStream,
    /// What has come of the message: at most its header, then at most its payload.
    received: Vec<u8>,
    fds: Vec<OwnedFd>,
    unsent: VecDeque<u8>,
    /// It goes with the first of these bytes. There is never more than one reply.
    unsent_fd: Option<OwnedFd>,
}

/// Closes a connection that nobody serves.
///
/// Whoever drops it instead may wait: a descriptor that has come on it, unread, is closed with it,
/// and a socket may be set to wait in close until its data have arrived somewhere.
pub fn turn_away(socket: UnixStream) {
    drop(Channel::new(socket));
}

impl Drop for Channel {
    fn drop(&mut self) {
        sys::hang_up(&self.socket);
    }
}

impl Channel {
    pub(super) fn new(socket: UnixStream) -> Self {
        let (received, fds) = (Vec::new(), Vec::new());
        Self { socket, received, fds, unsent: VecDeque::new(), unsent_fd: None }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The next whole message, or `None` if it is not all there yet.
    pub(super) fn receive(&mut self) -> Result<Option<Envelope>, ChannelError> {
        // No byte of the next message may be taken, for its descriptors would come with it.
        let Some(header) = self.fill(Header::SIZE)?.and_then(|bytes| bytes.first_chunk().copied())
        else {
            return Ok(None);
        };
        let header = Header::parse(header).map_err(ChannelError::Header)?;
        if self.fill(Header::SIZE + header.payload)?.is_none() {
            return Ok(None);
        }
        let payload = self.received.split_off(Header::SIZE);
        self.received.clear();
        Ok(Some(Envelope { header, payload, fds: std::mem::take(&mut self.fds) }))
    }

    /// Receives until the message has `len` bytes; `None` if they are not all there yet.
    fn fill(&mut self, len: usize) -> Result<Option<&[u8]>, ChannelError> {
        let mut buffer = [0; Header::SIZE + MAX_PAYLOAD];
        while self.received.len() < len {
            let Some(into) = buffer.get_mut(..len - self.received.len()) else { break };
            let received = match sys::receive(self.socket.as_fd(), into, &mut self.fds) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // It left our reply unread.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(self.hung_up());
                }
                Err(error) => return Err(ChannelError::Receive(error)),
            };
            // A message that comes in many parts may not bring that many with each.
            if received.truncated || self.fds.len() > sys::MAX_FDS {
                return Err(ChannelError::TooManyDescriptors);
            }
            if received.len == 0 {
                return Err(self.hung_up());
            }
            self.received.extend(into.iter().take(received.len));
        }
        Ok(Some(&self.received))
    }

    fn hung_up(&self) -> ChannelError {
        let between = self.received.is_empty();
        if between { ChannelError::HungUp } else { ChannelError::HungUpInMessage }
    }

    /// Sends a reply, or as much of it as fits; the rest goes with [`Self::flush`].
    pub(super) fn reply(&mut self, bytes: &[u8]) -> Result<(), ChannelError> {
        self.unsent.extend(bytes);
        self.flush()
    }

    /// [`Self::reply`], with a descriptor.
    pub(super) fn reply_with(&mut self, bytes: &[u8], fd: OwnedFd) -> Result<(), ChannelError> {
        self.unsent_fd = Some(fd);
        self.reply(bytes)
    }

    /// Sends what is yet to be sent, as far as it fits.
    pub(super) fn flush(&mut self) -> Result<(), ChannelError> {
        while !self.unsent.is_empty() {
            let (socket, bytes) = (self.socket.as_fd(), self.unsent.make_contiguous());
            let sent = match &self.unsent_fd {
                None => sys::send(socket, bytes),
                Some(fd) => sys::send_with_fds(socket, bytes, &[fd.as_fd()]),
            };
            match sent {
                Ok(sent) => {
                    self.unsent.drain(..sent);
                    self.unsent_fd = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    return Err(ChannelError::HungUp);
                }
                Err(error) => return Err(ChannelError::Send(error)),
            }
        }
        Ok(())
    }

    /// Whether replies are yet to be sent.
    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }
}

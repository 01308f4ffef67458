// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The channel on which a back end sends messages of its own (SET_BACKEND_REQ_FD).

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use super::connection::Frontend;
use super::message::VERSION;
use crate::deadline::Deadline;

/// The front end's end of the channel, and the one that the back end is to get.
#[derive(Debug)]
pub struct BackendChannel {
    ours: UnixStream,
    theirs: UnixStream,
}

/// A message that the back end sent by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendMessage {
    /// Its request, a number of the back end's: 2 is CONFIG_CHANGE_MSG.
    pub request: u32,
    /// The flags of its header.
    pub flags: u32,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl BackendMessage {
    /// BACKEND_CONFIG_CHANGE_MSG, which has no payload and wants no answer.
    pub fn config_change() -> Self {
        Self { request: 2, flags: VERSION, payload: Vec::new() }
    }
}

impl BackendChannel {
    /// A channel of which the back end does not know yet.
    pub fn new() -> Self {
        let (ours, theirs) = UnixStream::pair().expect("make a channel for the back end");
        Self { ours, theirs }
    }

    /// The next message of the back end's; `None` when the time is over or the channel closed
    /// before it came.
    ///
    /// # Panics
    /// When only a part of it comes.
    #[track_caller]
    pub fn receive(&self, deadline: Deadline) -> Option<BackendMessage> {
        let header = self.bytes(12, deadline)?;
        let (fields, _) = header.as_chunks();
        let [request, flags, size] = [0, 1, 2].map(|i| u32::from_ne_bytes(fields[i]));
        let size = usize::try_from(size).expect("the size of a message");
        let payload = self.bytes(size, deadline).expect("the payload of the back end's message");
        Some(BackendMessage { request, flags, payload })
    }

    /// Whether the back end has sent nothing that was not received.
    pub fn is_silent(&self) -> bool {
        !Deadline::after(std::time::Duration::ZERO).readable(&self.ours)
    }

    /// The end that is the front end's.
    pub fn socket(&self) -> &UnixStream {
        &self.ours
    }

    /// Exactly `len` bytes; `None` when there is none before the end.
    #[track_caller]
    fn bytes(&self, len: usize, deadline: Deadline) -> Option<Vec<u8>> {
        let (mut bytes, mut filled) = (vec![0; len], 0);
        while filled < len {
            if !deadline.readable(&self.ours) {
                assert_eq!(filled, 0, "only a part of a message from the back end");
                return None;
            }
            match (&self.ours).read(&mut bytes[filled..]) {
                Ok(0) => {
                    assert_eq!(filled, 0, "the channel ended within a message");
                    return None;
                }
                Ok(received) => filled += received,
                Err(e) if e.kind() == ErrorKind::Interrupted => (),
                Err(e) => panic!("receive from the back end's channel: {e}"),
            }
        }
        Some(bytes)
    }
}

impl Default for BackendChannel {
    fn default() -> Self {
        Self::new()
    }
}

/// The end that the back end is to get.
impl AsFd for BackendChannel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.theirs.as_fd()
    }
}

impl Frontend {
    /// A channel for the back end's own messages, which it has been told of.
    #[track_caller]
    pub fn backend_channel(&self) -> BackendChannel {
        let channel = BackendChannel::new();
        self.set_backend_req_fd(&channel).expect("an ack of SET_BACKEND_REQ_FD");
        channel
    }
}

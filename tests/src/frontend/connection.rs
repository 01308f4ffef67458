// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The connection to a back end: messages go out, answers come in, or the end.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use vhost::vhost_user::message::FrontendReq;

use super::message::{MAX_PAYLOAD, Message, NEED_REPLY, REPLY, VERSION};
use crate::deadline::Deadline;
use crate::memory::GuestMemory;
use crate::sys;

const HEADER: usize = 12;

/// A front end: one connection to a back end, and what was agreed on it.
#[derive(Debug)]
pub struct Frontend {
    socket: UnixStream,
    /// Whether REPLY_ACK was acked, so that each message can be answered.
    pub(super) acks: bool,
    /// The virtio features that were acked.
    pub(super) features: u64,
    /// The guest's memory, since it was told to the back end.
    pub(super) memory: Option<GuestMemory>,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The back end took it.
    Acked,
    /// The back end refused it and lives on.
    Refused,
    /// The back end answered with this payload, which is no ack.
    Answered(Vec<u8>),
    /// The back end closed the connection.
    Dropped,
}

impl Frontend {
    /// Connects to the back end that listens on `socket`.
    pub fn connect(socket: impl AsRef<Path>) -> Self {
        let socket = socket.as_ref();
        let connected = UnixStream::connect(socket);
        Self::over(connected.unwrap_or_else(|e| panic!("connect to {}: {e}", socket.display())))
    }

    /// Speaks over a socket that is connected already.
    pub fn over(socket: UnixStream) -> Self {
        Self { socket, acks: false, features: 0, memory: None }
    }

    /// Sends a message and waits for nothing. A connection that is gone swallows it.
    pub fn send(&self, message: &Message<'_>) {
        let bytes = message.wire();
        self.push(&bytes, message);
    }

    /// Sends only the first `len` bytes of a message, with all of its descriptors.
    pub fn send_part(&self, message: &Message<'_>, len: usize) {
        self.push(&message.wire()[..len], message);
    }

    /// Sends bytes that need not be a message.
    pub fn send_bytes(&self, bytes: &[u8]) {
        self.push(bytes, &Message::numbered(0));
    }

    fn push(&self, mut bytes: &[u8], message: &Message<'_>) {
        let mut descriptors = message.descriptors.as_slice();
        let deadline = Deadline::new();
        while !bytes.is_empty() {
            assert!(deadline.writable(&self.socket), "the back end takes no more bytes");
            match sys::send(self.socket.as_fd(), bytes, descriptors) {
                Ok(taken) => bytes = &bytes[taken..],
                Err(e) if is_gone(e.kind()) => return,
                Err(e) => panic!("send message {}: {e}", message.request),
            }
            descriptors = &[];
        }
    }

    /// Tells the back end that nothing more will come, and keeps on listening.
    pub fn shut(&self) {
        self.socket.shutdown(std::net::Shutdown::Write).expect("shut the socket down");
    }

    /// Sends `message` and waits for what becomes of it: an answer or the end of the connection.
    ///
    /// # Panics
    /// When neither comes.
    #[track_caller]
    pub fn outcome(&self, message: &Message<'_>) -> Outcome {
        self.send(message);
        match self.answer(message.request) {
            None => Outcome::Dropped,
            Some(payload) if is_get(message.request) => Outcome::Answered(payload),
            Some(payload) => match payload.as_slice().try_into().map(u64::from_ne_bytes) {
                Ok(0) => Outcome::Acked,
                Ok(_) => Outcome::Refused,
                Err(_) => Outcome::Answered(payload),
            },
        }
    }

    /// The payload of the answer to the request numbered `request`, which comes without
    /// descriptors; `None` when the connection ended instead.
    #[track_caller]
    pub(super) fn answer(&self, request: u32) -> Option<Vec<u8>> {
        let (payload, descriptors) = self.answer_with_descriptors(request)?;
        assert_eq!(descriptors.len(), 0, "descriptors with the answer to message {request}");
        Some(payload)
    }

    /// The payload of the answer to the request numbered `request`, and the descriptors that came
    /// with it; `None` when the connection ended instead.
    #[track_caller]
    pub(super) fn answer_with_descriptors(&self, request: u32) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
        let (header, mut descriptors) = self.receive(HEADER)?;
        let (fields, _) = header.as_chunks();
        let [answered, flags, size] = [0, 1, 2].map(|i| u32::from_ne_bytes(fields[i]));
        // Some back ends give the flag of the question back.
        let flags = flags & !NEED_REPLY;
        assert_eq!((answered, flags), (request, VERSION | REPLY), "the answer's request and flags");
        let size = usize::try_from(size).expect("the size of an answer");
        assert!(size <= MAX_PAYLOAD, "an answer of {size} bytes to message {request}");
        let (payload, more) = self.receive(size).expect("the payload of the answer");
        descriptors.extend(more);
        Some((payload, descriptors))
    }

    /// Exactly `len` bytes; `None` when the connection ended before the first.
    #[track_caller]
    fn receive(&self, len: usize) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
        let (mut bytes, mut descriptors) = (vec![0; len], Vec::new());
        let (mut filled, deadline) = (0, Deadline::new());
        while filled < len {
            assert!(deadline.readable(&self.socket), "the back end does not answer");
            match sys::receive(self.socket.as_fd(), &mut bytes[filled..]) {
                Ok((0, _)) if filled == 0 => return None,
                Ok((0, _)) => panic!("the back end left after {filled} bytes of an answer"),
                Ok((received, more)) => {
                    filled += received;
                    descriptors.extend(more);
                }
                Err(e) if is_gone(e.kind()) => return None,
                Err(e) => panic!("receive from the back end: {e}"),
            }
        }
        Some((bytes, descriptors))
    }

    /// Waits for the back end to close the connection.
    ///
    /// # Panics
    /// When it doesn't, or sends something instead.
    #[track_caller]
    pub fn expect_dropped(&self) {
        let more = self.receive(1).map(|(bytes, _)| bytes);
        assert_eq!(more, None, "a byte instead of the end of the connection");
    }

    /// Whether nothing has come from the back end that was not asked for, neither bytes nor the
    /// end of the connection.
    pub fn is_silent(&self) -> bool {
        !Deadline::after(std::time::Duration::ZERO).readable(&self.socket)
    }

    /// Waits for the answer to `request`, which was sent before; `false` when the connection ends
    /// instead.
    #[track_caller]
    pub fn has_answered(&self, request: FrontendReq) -> bool {
        self.answer(request.into()).is_some()
    }

    /// The socket, for what no call here can say.
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Whether the back end still answers: asks it for its features.
    #[track_caller]
    pub fn is_served(&self) -> bool {
        self.send(&Message::new(FrontendReq::GET_FEATURES));
        self.answer(FrontendReq::GET_FEATURES.into()).is_some()
    }

    /// The virtio features that were acked.
    pub fn features(&self) -> u64 {
        self.features
    }
}

impl Drop for Frontend {
    fn drop(&mut self) {
        // Another thread of this test may be making a child, which has a copy of the socket for a
        // moment: the back end would not learn of the end before that is gone, too. Whether there
        // is still somebody to learn of it does not matter.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

fn is_gone(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

/// Whether the request's answer is what was asked for, not an ack.
fn is_get(request: u32) -> bool {
    use FrontendReq as Req;
    let gets = [
        Req::GET_FEATURES,
        Req::GET_PROTOCOL_FEATURES,
        Req::GET_QUEUE_NUM,
        Req::GET_MAX_MEM_SLOTS,
        Req::GET_VRING_BASE,
        Req::GET_CONFIG,
        Req::GET_INFLIGHT_FD,
        Req::GET_STATUS,
    ];
    gets.iter().any(|get| u32::from(*get) == request)
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The front end's end of a connection, and what came of a message on it.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use vhost::vhost_user::message::FrontendReq;

use crate::said::{REPLY, VERSION};

/// As many descriptors as a message of these sequences may have. One with more is swallowed by
/// `vhost`, which takes the error for one that passes, and waits for another message.
pub const MAX_DESCRIPTORS: usize = 32;

/// The messages that are answered with what they ask for, in eight bytes.
const ANSWERED: [FrontendReq; 6] = [
    FrontendReq::GET_FEATURES,
    FrontendReq::GET_PROTOCOL_FEATURES,
    FrontendReq::GET_QUEUE_NUM,
    FrontendReq::GET_VRING_BASE,
    FrontendReq::GET_MAX_MEM_SLOTS,
    FrontendReq::GET_STATUS,
];

/// What a back end made of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// All bytes that it sent.
    pub bytes: Vec<u8>,
    /// How many descriptors came with them.
    pub descriptors: usize,
    /// Whether the connection is still there.
    pub alive: bool,
}

/// What [`Heard`] comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It said nothing and goes on.
    Silent,
    /// It said zero in eight bytes: yes, in most replies.
    Zero,
    /// It said one in eight bytes: no, in most replies.
    One,
    /// It said something else.
    Reply,
    /// It closed the connection.
    Closed,
}

/// The front end's end.
#[derive(Debug)]
pub struct Link(UnixStream);

impl Link {
    /// A link, and the socket for the back end's end of it.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn pair() -> io::Result<(Self, UnixStream)> {
        let (front, back) = UnixStream::pair()?;
        Ok((Self(front), back))
    }

    /// Sends bytes with descriptors, all at once; `false` if nobody is there to take them.
    ///
    /// # Errors
    /// They can't be sent.
    pub fn send(&self, bytes: &[u8], descriptors: &[OwnedFd]) -> io::Result<bool> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
        if !descriptors.is_empty() {
            let fits = control.push(SendAncillaryMessage::ScmRights(&descriptors));
            assert!(fits, "at most {MAX_DESCRIPTORS} descriptors");
        }
        let slices = [IoSlice::new(bytes)];
        match sendmsg(&self.0, &slices, &mut control, SendFlags::NOSIGNAL) {
            Ok(sent) => {
                assert_eq!(sent, bytes.len(), "a message is sent whole");
                Ok(true)
            }
            Err(Errno::PIPE | Errno::CONNRESET) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// All bytes and descriptors that have come.
    ///
    /// # Errors
    /// They can't be received.
    pub fn receive(&self) -> io::Result<(Vec<u8>, usize)> {
        let (mut all, mut descriptors) = (Vec::new(), 0);
        let mut bytes = [0; 8192];
        loop {
            let mut space =
                [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut slices = [IoSliceMut::new(&mut bytes)];
            let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
            let received = match recvmsg(&self.0, &mut slices, &mut control, flags) {
                Ok(received) => received.bytes,
                Err(Errno::AGAIN | Errno::CONNRESET) => 0,
                Err(error) => return Err(error.into()),
            };
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(fds) = message {
                    descriptors += fds.count();
                }
            }
            if received == 0 {
                return Ok((all, descriptors));
            }
            all.extend(&bytes[..received]);
        }
    }
}

impl Heard {
    /// What it comes to.
    pub fn ending(&self) -> Ending {
        if !self.alive {
            return Ending::Closed;
        }
        let Some((request, _)) = self.bytes.split_first_chunk() else { return Ending::Silent };
        // What is asked for may be a number as well.
        let answers = ANSWERED.iter().any(|name| u32::from(*name) == u32::from_ne_bytes(*request));
        match self.bytes.get(12..).map(<[u8; 8]>::try_from) {
            Some(Ok(payload)) if !answers && u64::from_ne_bytes(payload) == 0 => Ending::Zero,
            Some(Ok(payload)) if !answers && u64::from_ne_bytes(payload) == 1 => Ending::One,
            _ => Ending::Reply,
        }
    }

    /// Whether it answered with this payload and no descriptor.
    pub fn answered(&self, request: u32, payload: &[u8]) -> bool {
        let len = u32::try_from(payload.len()).expect("a short payload");
        let header = [request, VERSION | REPLY, len].into_iter().flat_map(u32::to_ne_bytes);
        self.descriptors == 0
            && header.chain(payload.iter().copied()).eq(self.bytes.iter().copied())
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, descriptors, alive } = self;
        let ending = if *alive { "goes on" } else { "closes the connection" };
        if bytes.is_empty() && *descriptors == 0 {
            return write!(f, "says nothing, {ending}");
        }
        write!(f, "says {bytes:02x?} with {descriptors} descriptors, {ending}")
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! One message of a sequence: bytes, and of which kinds the descriptors with it are.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, Mode, OFlags, ftruncate, memfd_create, open};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use vhost::vhost_user::message::FrontendReq;

/// The flags of a message that is just that: the version of the protocol.
pub const VERSION: u32 = 0x1;
/// The flag of a message that answers one.
pub const REPLY: u32 = 0x4;
/// The flag of a message whose sender wants an answer.
pub const NEED_REPLY: u32 = 0x8;

/// A message that a front end says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its number.
    pub request: u32,
    /// The flags in its header.
    pub flags: u32,
    /// Its payload, the length of which its header tells.
    pub payload: Vec<u8>,
    /// The descriptors that come with it.
    pub with: Vec<Kind>,
}

/// What a descriptor stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A memory file of so many zero bytes.
    Memory(u64),
    /// An event counter.
    Event,
    /// A pipe's end for reading, the other end of which is closed.
    Pipe,
    /// A stream socket, the other end of which is closed.
    Socket,
    /// A datagram socket, the other end of which is closed.
    Datagrams,
    /// The device `/dev/null`.
    Null,
}

impl Said {
    /// A message that wants no answer.
    pub fn new(request: FrontendReq, payload: Vec<u8>, with: Vec<Kind>) -> Self {
        Self { request: request.into(), flags: VERSION, payload, with }
    }

    /// Whether it is this message.
    pub fn is(&self, request: FrontendReq) -> bool {
        self.request == u32::from(request)
    }

    /// Whether it asks for an answer.
    pub fn needs_reply(&self) -> bool {
        self.flags & NEED_REPLY != 0
    }

    /// The number of four bytes at `offset` of the payload; zero beyond its end.
    pub fn u32_at(&self, offset: usize) -> u32 {
        let bytes = self.payload.get(offset..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    }

    /// The number of eight bytes at `offset` of the payload; zero beyond its end.
    pub fn u64_at(&self, offset: usize) -> u64 {
        let bytes = self.payload.get(offset..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }

    /// The bytes that go over the socket.
    pub fn wire(&self) -> Vec<u8> {
        let len = u32::try_from(self.payload.len()).expect("a short payload");
        let header = [self.request, self.flags, len];
        header.iter().flat_map(|word| word.to_ne_bytes()).chain(self.payload.clone()).collect()
    }

    /// The descriptors that go with them, made anew.
    ///
    /// # Errors
    /// The system has none left.
    pub fn descriptors(&self) -> io::Result<Vec<OwnedFd>> {
        self.with.iter().map(|kind| kind.make()).collect()
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match FrontendReq::try_from(self.request) {
            Ok(name) => write!(f, "{name:?}")?,
            Err(_) => write!(f, "message {}", self.request)?,
        }
        match self.flags {
            VERSION => {}
            flags if flags == VERSION | NEED_REPLY => write!(f, " need_reply")?,
            flags => write!(f, " flags {flags:#x}")?,
        }
        let (words, rest) = self.payload.as_chunks();
        write!(f, " [")?;
        for (at, word) in words.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{:x}", u32::from_ne_bytes(*word))?;
        }
        let odd = if rest.is_empty() { String::new() } else { format!(" and {rest:x?}") };
        write!(f, "{odd}] with {:x?}", self.with)
    }
}

impl Kind {
    fn make(self) -> io::Result<OwnedFd> {
        Ok(match self {
            Self::Memory(len) => {
                let file = memfd_create("guest-memory", MemfdFlags::CLOEXEC)?;
                ftruncate(&file, len)?;
                file
            }
            Self::Event => eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            Self::Pipe => pipe_with(PipeFlags::CLOEXEC)?.0,
            Self::Socket => Self::socket(SocketType::STREAM)?,
            Self::Datagrams => Self::socket(SocketType::DGRAM)?,
            Self::Null => open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?,
        })
    }

    fn socket(kind: SocketType) -> io::Result<OwnedFd> {
        Ok(socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?.0)
    }
}

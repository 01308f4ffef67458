// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! From the bytes and descriptors of one vhost-user message to its meaning: total, without I/O.
//!
//! Surplus bytes at the end of a payload are ignored: User-Mode Linux pads SET_MEM_TABLE to its
//! largest size. Surplus descriptors are closed.

use std::fs::File;
use std::os::fd::OwnedFd;

use vhost::vhost_user::message::{
    FrontendReq, VhostUserConfig, VhostUserHeaderFlag, VhostUserMemoryRegion, VhostUserVringAddr,
    VhostUserVringState,
};
use vm_memory::ByteValued;

use crate::memory::RegionSpan;
use crate::ring::RingAddresses;

/// The longest payload that is taken, in bytes.
pub(crate) const MAX_PAYLOAD: usize = 4096;

/// The version that every message's flags carry.
const VERSION: u32 = 1;

/// In the payload of SET_VRING_KICK, CALL and ERR: there is no descriptor.
const NO_DESCRIPTOR: u64 = 1 << 8;

/// The fixed part of every message: request, flags and payload size, 32 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) request: u32,
    flags: u32,
    pub(crate) payload: usize,
}

/// What the front end asks for. Descriptors come with the message; ring and region addresses are
/// as the front end said them.
#[derive(Debug)]
pub(crate) enum Message {
    GetFeatures,
    SetFeatures(u64),
    SetOwner,
    ResetOwner,
    SetMemTable(Vec<(RegionSpan, File)>),
    SetVringNum { index: u32, num: u32 },
    SetVringAddr { index: u32, addresses: RingAddresses },
    SetVringBase { index: u32, base: u32 },
    GetVringBase { index: u32 },
    SetVringKick { index: u32, fd: Option<OwnedFd> },
    SetVringCall { index: u32, fd: Option<OwnedFd> },
    SetVringErr { index: u32, fd: Option<OwnedFd> },
    GetProtocolFeatures,
    SetProtocolFeatures(u64),
    GetQueueNum,
    SetVringEnable { index: u32, enable: u32 },
    SetBackendReqFd(OwnedFd),
    GetConfig { offset: u32, size: u32, flags: u32 },
    SetConfig { offset: u32, data: Vec<u8> },
    GetMaxMemSlots,
    AddMemReg(RegionSpan, File),
    RemMemReg(RegionSpan),
}

/// What is wrong with a header: where the next message begins is not known any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("message {request} has flags {flags:#x}, which are not those of a request")]
    Flags { request: u32, flags: u32 },
    #[error("message {request} has a payload of {payload} bytes, more than {MAX_PAYLOAD}")]
    TooLong { request: u32, payload: u32 },
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MessageError {
    #[error("unknown message {0}")]
    Unknown(u32),
    #[error("{name:?} is not implemented")]
    NotImplemented { name: FrontendReq },
    #[error("{name:?} has a payload of {len} bytes, fewer than {least}")]
    TooShort { name: FrontendReq, len: usize, least: usize },
    #[error("{name:?} came with {count} descriptors instead of {expected}")]
    Descriptors { name: FrontendReq, count: usize, expected: usize },
}

impl Header {
    /// Bytes of a header.
    pub(crate) const SIZE: usize = 12;

    pub(crate) fn parse(bytes: [u8; Self::SIZE]) -> Result<Self, HeaderError> {
        let [request, flags, payload] = words(bytes);
        let reply = VhostUserHeaderFlag::REPLY.bits();
        if flags & 3 != VERSION || flags & reply != 0 {
            return Err(HeaderError::Flags { request, flags });
        }
        match usize::try_from(payload) {
            Ok(size) if size <= MAX_PAYLOAD => Ok(Self { request, flags, payload: size }),
            _ => Err(HeaderError::TooLong { request, payload }),
        }
    }

    /// Whether the front end wants to hear whether the message was applied.
    pub(crate) fn needs_reply(&self) -> bool {
        self.flags & VhostUserHeaderFlag::NEED_REPLY.bits() != 0
    }

    /// Whether the message is answered in any case, with a payload that has no word for a refusal.
    pub(crate) fn has_own_reply(&self) -> bool {
        let name = FrontendReq::try_from(self.request);
        matches!(name, Ok(FrontendReq::GET_VRING_BASE | FrontendReq::GET_CONFIG))
    }

    /// The message's name for the log.
    pub(crate) fn name(&self) -> String {
        match FrontendReq::try_from(self.request) {
            Ok(name) => format!("{name:?}"),
            Err(_) => format!("message {}", self.request),
        }
    }

    /// The bytes of a whole reply to this message.
    pub(crate) fn reply(&self, payload: &[u8]) -> Vec<u8> {
        let flags = VERSION | VhostUserHeaderFlag::REPLY.bits();
        // Replies are as short as requests.
        let len = u32::try_from(payload.len()).unwrap_or(0);
        let words = [self.request, flags, len];
        words.iter().flat_map(|word| word.to_ne_bytes()).chain(payload.iter().copied()).collect()
    }
}

/// The three words of a header, in the byte order of the machine, as all of vhost-user is.
fn words(bytes: [u8; Header::SIZE]) -> [u32; 3] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l]].map(u32::from_ne_bytes)
}

impl Message {
    /// The meaning of a message: its request number, its payload and its descriptors.
    pub(crate) fn parse(
        request: u32,
        payload: &[u8],
        fds: Vec<OwnedFd>,
    ) -> Result<Self, MessageError> {
        let name = FrontendReq::try_from(request).map_err(|_| MessageError::Unknown(request))?;
        let mut body = Body { name, payload, taken: 0, fds };
        let message = match name {
            FrontendReq::GET_FEATURES => Self::GetFeatures,
            FrontendReq::SET_FEATURES => Self::SetFeatures(body.u64()?),
            FrontendReq::SET_OWNER => Self::SetOwner,
            FrontendReq::RESET_OWNER => Self::ResetOwner,
            FrontendReq::SET_MEM_TABLE => Self::SetMemTable(body.mem_table()?),
            FrontendReq::SET_VRING_NUM => {
                let VhostUserVringState { index, num } = body.take()?;
                Self::SetVringNum { index, num }
            }
            FrontendReq::SET_VRING_ADDR => body.vring_addr()?,
            FrontendReq::SET_VRING_BASE => {
                let VhostUserVringState { index, num: base } = body.take()?;
                Self::SetVringBase { index, base }
            }
            FrontendReq::GET_VRING_BASE => {
                let VhostUserVringState { index, .. } = body.take()?;
                Self::GetVringBase { index }
            }
            FrontendReq::SET_VRING_KICK => {
                let (index, fd) = body.vring_fd()?;
                Self::SetVringKick { index, fd }
            }
            FrontendReq::SET_VRING_CALL => {
                let (index, fd) = body.vring_fd()?;
                Self::SetVringCall { index, fd }
            }
            FrontendReq::SET_VRING_ERR => {
                let (index, fd) = body.vring_fd()?;
                Self::SetVringErr { index, fd }
            }
            FrontendReq::GET_PROTOCOL_FEATURES => Self::GetProtocolFeatures,
            FrontendReq::SET_PROTOCOL_FEATURES => Self::SetProtocolFeatures(body.u64()?),
            FrontendReq::GET_QUEUE_NUM => Self::GetQueueNum,
            FrontendReq::SET_VRING_ENABLE => {
                let VhostUserVringState { index, num: enable } = body.take()?;
                Self::SetVringEnable { index, enable }
            }
            FrontendReq::SET_BACKEND_REQ_FD => Self::SetBackendReqFd(body.fd()?),
            FrontendReq::GET_CONFIG => {
                let VhostUserConfig { offset, size, flags } = body.take()?;
                Self::GetConfig { offset, size, flags }
            }
            FrontendReq::SET_CONFIG => body.set_config()?,
            FrontendReq::GET_MAX_MEM_SLOTS => Self::GetMaxMemSlots,
            FrontendReq::ADD_MEM_REG => {
                let span = body.single_region()?;
                Self::AddMemReg(span, body.fd()?.into())
            }
            FrontendReq::REM_MEM_REG => Self::RemMemReg(body.single_region()?),
            name => return Err(MessageError::NotImplemented { name }),
        };
        Ok(message)
    }
}

/// A message whose request is known: takes its payload and descriptors apart.
struct Body<'a> {
    name: FrontendReq,
    /// What is left of the payload.
    payload: &'a [u8],
    /// How many bytes of it were taken before.
    taken: usize,
    fds: Vec<OwnedFd>,
}

impl Body<'_> {
    /// The next value of the payload.
    fn take<T: ByteValued + Default>(&mut self) -> Result<T, MessageError> {
        let mut value = T::default();
        let bytes = value.as_mut_slice();
        let too_short = self.too_short(bytes.len());
        let (head, rest) = self.payload.split_at_checked(bytes.len()).ok_or(too_short)?;
        bytes.copy_from_slice(head);
        self.payload = rest;
        self.taken += head.len();
        Ok(value)
    }

    /// The error if `len` bytes more are wanted than there are.
    fn too_short(&self, len: usize) -> MessageError {
        let least = self.taken.saturating_add(len);
        MessageError::TooShort { name: self.name, len: self.taken + self.payload.len(), least }
    }

    fn u64(&mut self) -> Result<u64, MessageError> {
        self.take::<u64>()
    }

    /// All descriptors, of which there must be `expected`.
    fn take_fds(&mut self, expected: usize) -> Result<Vec<OwnedFd>, MessageError> {
        let (name, count) = (self.name, self.fds.len());
        if count != expected {
            return Err(MessageError::Descriptors { name, count, expected });
        }
        Ok(std::mem::take(&mut self.fds))
    }

    fn fd(&mut self) -> Result<OwnedFd, MessageError> {
        let (name, count) = (self.name, self.fds.len());
        let missing = MessageError::Descriptors { name, count, expected: 1 };
        self.take_fds(1)?.pop().ok_or(missing)
    }

    /// A queue's index and the descriptor that is for it, or that there is none.
    fn vring_fd(&mut self) -> Result<(u32, Option<OwnedFd>), MessageError> {
        let value = self.u64()?;
        // The low eight bits are the index.
        let index = u32::from(value.to_le_bytes()[0]);
        let fd = if value & NO_DESCRIPTOR == 0 { Some(self.fd()?) } else { None };
        Ok((index, fd))
    }

    fn region(&mut self) -> Result<RegionSpan, MessageError> {
        let VhostUserMemoryRegion { guest_phys_addr, memory_size, user_addr, mmap_offset } =
            self.take()?;
        Ok(RegionSpan {
            guest: guest_phys_addr,
            len: memory_size,
            user: user_addr,
            file_offset: mmap_offset,
        })
    }

    /// ADD_MEM_REG and REM_MEM_REG: eight bytes of padding, then a region.
    fn single_region(&mut self) -> Result<RegionSpan, MessageError> {
        self.u64()?;
        self.region()
    }

    /// SET_MEM_TABLE: a count, four bytes of padding, then as many regions and descriptors.
    fn mem_table(&mut self) -> Result<Vec<(RegionSpan, File)>, MessageError> {
        let count = self.take::<u32>()?;
        self.take::<u32>()?;
        let expected = usize::try_from(count).unwrap_or(usize::MAX);
        let fds = self.take_fds(expected)?;
        fds.into_iter().map(|fd| Ok((self.region()?, fd.into()))).collect()
    }

    fn vring_addr(&mut self) -> Result<Message, MessageError> {
        let VhostUserVringAddr { index, descriptor, used, available, .. } = self.take()?;
        let addresses = RingAddresses { descriptors: descriptor, avail: available, used };
        Ok(Message::SetVringAddr { index, addresses })
    }

    fn set_config(&mut self) -> Result<Message, MessageError> {
        let VhostUserConfig { offset, size, .. } = self.take()?;
        let len = usize::try_from(size).unwrap_or(usize::MAX);
        let data = self.payload.get(..len).ok_or(self.too_short(len))?;
        Ok(Message::SetConfig { offset, data: data.to_vec() })
    }
}

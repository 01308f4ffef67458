// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A message to the back end, byte by byte.

use std::os::fd::{AsFd, BorrowedFd};

use vhost::vhost_user::message::{FrontendReq, VhostUserMemoryRegion};

/// The flags of a message that is just that: the version of the protocol.
pub const VERSION: u32 = 0x1;
/// The flag of a message that answers one.
pub const REPLY: u32 = 0x4;
/// The flag of a message whose sender wants an answer, which it may have with REPLY_ACK.
pub const NEED_REPLY: u32 = 0x8;

/// The longest payload that a message may have, in bytes.
pub const MAX_PAYLOAD: usize = 4096;

/// Set in the payload of SET_VRING_KICK, SET_VRING_CALL and SET_VRING_ERR when no descriptor comes.
const NO_DESCRIPTOR: u64 = 1 << 8;

/// VHOST_VRING_F_LOG, a flag of SET_VRING_ADDR: what is written to the used ring is logged.
pub const VRING_F_LOG: u32 = 1;

/// A message: a request with its payload and descriptors. Nothing in it is checked.
#[derive(Clone, Debug)]
#[must_use = "a message does nothing until it is sent"]
pub struct Message<'fd> {
    pub(super) request: u32,
    pub(super) flags: u32,
    size: Option<u32>,
    payload: Vec<u8>,
    pub(super) descriptors: Vec<BorrowedFd<'fd>>,
}

impl<'fd> Message<'fd> {
    /// A message without payload.
    pub fn new(request: FrontendReq) -> Self {
        Self::numbered(request.into())
    }

    /// A message that perhaps nobody knows.
    pub fn numbered(request: u32) -> Self {
        Self { request, flags: VERSION, size: None, payload: Vec::new(), descriptors: Vec::new() }
    }

    /// Adds `bytes` to the payload.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.payload.extend(bytes);
        self
    }

    /// Adds a number of 4 bytes to the payload.
    pub fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_ne_bytes())
    }

    /// Adds a number of 8 bytes to the payload.
    pub fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_ne_bytes())
    }

    /// Adds the description of a memory region to the payload: 32 bytes.
    pub fn region(self, region: &VhostUserMemoryRegion) -> Self {
        self.u64(region.guest_phys_addr)
            .u64(region.memory_size)
            .u64(region.user_addr)
            .u64(region.mmap_offset)
    }

    /// Attaches a descriptor.
    pub fn descriptor(mut self, fd: &'fd impl AsFd) -> Self {
        self.descriptors.push(fd.as_fd());
        self
    }

    /// Asks for an answer.
    pub fn need_reply(mut self) -> Self {
        self.flags |= NEED_REPLY;
        self
    }

    /// Puts `flags` in the header, whatever was asked for before.
    pub fn flags(mut self, flags: u32) -> Self {
        self.flags = flags;
        self
    }

    /// Says in the header that the payload has `size` bytes, whatever it has.
    pub fn size(mut self, size: u32) -> Self {
        self.size = Some(size);
        self
    }

    /// What goes over the socket: the header, then the payload.
    pub fn wire(&self) -> Vec<u8> {
        let whole = || u32::try_from(self.payload.len()).expect("the size of a payload");
        let size = self.size.unwrap_or_else(whole);
        let mut bytes = Vec::new();
        for field in [self.request, self.flags, size] {
            bytes.extend(field.to_ne_bytes());
        }
        bytes.extend(&self.payload);
        bytes
    }
}

/// The payloads that the protocol has.
impl<'fd> Message<'fd> {
    /// SET_MEM_TABLE with `regions`; their descriptors are still to be attached.
    pub fn mem_table(regions: &[VhostUserMemoryRegion]) -> Self {
        let count = u32::try_from(regions.len()).expect("a number of regions");
        let head = Self::new(FrontendReq::SET_MEM_TABLE).u32(count).u32(0);
        regions.iter().fold(head, |message, region| message.region(region))
    }

    /// ADD_MEM_REG or REM_MEM_REG of `region`; its descriptor is still to be attached.
    pub fn mem_region(request: FrontendReq, region: &VhostUserMemoryRegion) -> Self {
        Self::new(request).u64(0).region(region)
    }

    /// A message about the vring `index` with one number.
    pub fn vring(request: FrontendReq, index: u32, number: u32) -> Self {
        Self::new(request).u32(index).u32(number)
    }

    /// SET_VRING_ADDR with user addresses, without a log.
    pub fn vring_addr(index: u32, descriptors: u64, used: u64, available: u64) -> Self {
        Self::vring_addr_logged(index, [descriptors, used, available], 0, 0)
    }

    /// SET_VRING_ADDR with the user addresses of descriptor table, used ring and available ring,
    /// with `flags`, and with the guest address `log` as which the used ring is logged.
    pub fn vring_addr_logged(index: u32, places: [u64; 3], flags: u32, log: u64) -> Self {
        let head = Self::new(FrontendReq::SET_VRING_ADDR).u32(index).u32(flags);
        places.into_iter().fold(head, Self::u64).u64(log)
    }

    /// SET_LOG_BASE with a log of `size` bytes, `offset` bytes into its file; its descriptor is
    /// still to be attached.
    pub fn log_base(size: u64, offset: u64) -> Self {
        Self::new(FrontendReq::SET_LOG_BASE).u64(size).u64(offset)
    }

    /// SET_VRING_KICK, SET_VRING_CALL or SET_VRING_ERR, with a descriptor or with word that there
    /// is none.
    pub fn vring_descriptor(request: FrontendReq, index: u8, fd: Option<&'fd impl AsFd>) -> Self {
        let message = Self::new(request);
        match fd {
            Some(fd) => message.u64(index.into()).descriptor(fd),
            None => message.u64(u64::from(index) | NO_DESCRIPTOR),
        }
    }

    /// GET_CONFIG or SET_CONFIG of `size` bytes from `offset`.
    pub fn config(request: FrontendReq, offset: u32, size: u32, data: &[u8]) -> Self {
        Self::new(request).u32(offset).u32(size).u32(0).bytes(data)
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The payload and the descriptors of a message whose request is known, taken apart.

use std::fs::File;
use std::os::fd::OwnedFd;

use vhost::vhost_user::message::{
    FrontendReq, VhostUserConfig, VhostUserLog, VhostUserMemoryRegion, VhostUserVringAddr,
    VhostUserVringAddrFlags,
};
use vm_memory::ByteValued;

use super::{FileRange, Message, MessageError};
use crate::memory::RegionSpan;
use crate::planted::Planted;
use crate::ring::{InflightShape, RingAddresses};

/// In the payload of SET_VRING_KICK, CALL and ERR: there is no descriptor.
const NO_DESCRIPTOR: u64 = 1 << 8;

/// A message whose request is known: takes its payload and descriptors apart.
pub(super) struct Body<'a> {
    name: FrontendReq,
    /// What is left of the payload.
    payload: &'a [u8],
    /// How many bytes of it were taken before.
    taken: usize,
    fds: Vec<OwnedFd>,
}

impl<'a> Body<'a> {
    pub(super) fn new(name: FrontendReq, payload: &'a [u8], fds: Vec<OwnedFd>) -> Self {
        Self { name, payload, taken: 0, fds }
    }

    /// The next value of the payload.
    pub(super) fn take<T: ByteValued + Default>(&mut self) -> Result<T, MessageError> {
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

    pub(super) fn u64(&mut self) -> Result<u64, MessageError> {
        self.take::<u64>()
    }

    /// All descriptors, of which there must be `expected`.
    fn take_fds(&mut self, expected: usize) -> Result<Vec<OwnedFd>, MessageError> {
        let (name, count) = (self.name, self.fds.len());
        if count != expected {
            if Planted::Descriptor.is_here() {
                std::mem::forget(std::mem::take(&mut self.fds));
            }
            return Err(MessageError::Descriptors { name, count, expected });
        }
        Ok(std::mem::take(&mut self.fds))
    }

    pub(super) fn fd(&mut self) -> Result<OwnedFd, MessageError> {
        let (name, count) = (self.name, self.fds.len());
        let missing = MessageError::Descriptors { name, count, expected: 1 };
        self.take_fds(1)?.pop().ok_or(missing)
    }

    /// A queue's index and the descriptor that is for it, or that there is none.
    pub(super) fn vring_fd(&mut self) -> Result<(u32, Option<OwnedFd>), MessageError> {
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
    pub(super) fn single_region(&mut self) -> Result<RegionSpan, MessageError> {
        self.u64()?;
        self.region()
    }

    /// SET_MEM_TABLE: a count, four bytes of padding, then as many regions and descriptors.
    pub(super) fn mem_table(&mut self) -> Result<Vec<(RegionSpan, File)>, MessageError> {
        let count = self.take::<u32>()?;
        self.take::<u32>()?;
        let expected = usize::try_from(count).unwrap_or(usize::MAX);
        let fds = self.take_fds(expected)?;
        fds.into_iter().map(|fd| Ok((self.region()?, fd.into()))).collect()
    }

    pub(super) fn vring_addr(&mut self) -> Result<Message, MessageError> {
        let VhostUserVringAddr { index, flags, descriptor, used, available, log } = self.take()?;
        let addresses = RingAddresses { descriptors: descriptor, avail: available, used };
        let logged = flags & VhostUserVringAddrFlags::VHOST_VRING_F_LOG.bits() != 0;
        Ok(Message::SetVringAddr { index, addresses, log: logged.then_some(log) })
    }

    pub(super) fn set_config(&mut self) -> Result<Message, MessageError> {
        let VhostUserConfig { offset, size, flags } = self.take()?;
        let len = usize::try_from(size).unwrap_or(usize::MAX);
        let len = if Planted::Payload.is_here() { len.min(self.payload.len()) } else { len };
        let data = self.payload.get(..len).ok_or(self.too_short(len))?;
        Ok(Message::SetConfig { offset, data: data.to_vec(), flags })
    }

    pub(super) fn log(&mut self) -> Result<FileRange, MessageError> {
        let VhostUserLog { mmap_size: len, mmap_offset: offset } = self.take()?;
        Ok(FileRange { file: self.fd()?.into(), offset, len })
    }

    /// The shape of an in-flight region, and its offset and length in the file, if there is one.
    pub(super) fn inflight(&mut self) -> Result<(InflightShape, u64, u64), MessageError> {
        // The specification has no padding at the end, the C structure that all send has four bytes.
        let (len, offset) = (self.u64()?, self.u64()?);
        let (num_queues, queue_size) = (self.take()?, self.take()?);
        Ok((InflightShape { num_queues, queue_size }, offset, len))
    }
}

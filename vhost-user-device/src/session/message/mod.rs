// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! From the bytes and descriptors of one vhost-user message to its meaning: total, without I/O.
//!
//! Surplus bytes at the end of a payload are ignored: User-Mode Linux pads SET_MEM_TABLE to its
//! largest size. Surplus descriptors are closed.

mod body;
#[cfg(fuzzing)]
pub mod fuzz;
mod header;

use std::fs::File;
use std::os::fd::OwnedFd;

use vhost::vhost_user::message::{FrontendReq, VhostUserConfig, VhostUserVringState};

use crate::memory::RegionSpan;
use crate::ring::{InflightShape, RingAddresses};
use body::Body;

pub(crate) use header::{Header, HeaderError, MAX_PAYLOAD, VERSION};

/// What the front end asks for. Descriptors come with the message; ring and region addresses are
/// as the front end said them.
#[derive(Debug)]
pub(crate) enum Message {
    GetFeatures,
    SetFeatures(u64),
    SetOwner,
    ResetOwner,
    SetMemTable(Vec<(RegionSpan, File)>),
    SetVringNum {
        index: u32,
        num: u32,
    },
    /// `log` is where the used ring is for the dirty log, a guest address, if it is to be logged.
    SetVringAddr {
        index: u32,
        addresses: RingAddresses,
        log: Option<u64>,
    },
    SetVringBase {
        index: u32,
        base: u32,
    },
    GetVringBase {
        index: u32,
    },
    SetVringKick {
        index: u32,
        fd: Option<OwnedFd>,
    },
    SetVringCall {
        index: u32,
        fd: Option<OwnedFd>,
    },
    SetVringErr {
        index: u32,
        fd: Option<OwnedFd>,
    },
    GetProtocolFeatures,
    SetProtocolFeatures(u64),
    GetQueueNum,
    SetVringEnable {
        index: u32,
        enable: u32,
    },
    SetBackendReqFd(OwnedFd),
    GetConfig {
        offset: u32,
        size: u32,
        flags: u32,
    },
    SetConfig {
        offset: u32,
        data: Vec<u8>,
        flags: u32,
    },
    SetLogBase(FileRange),
    SetLogFd(OwnedFd),
    GetInflightFd(InflightShape),
    SetInflightFd(InflightShape, FileRange),
    ResetDevice,
    GetMaxMemSlots,
    AddMemReg(RegionSpan, File),
    RemMemReg(RegionSpan),
    SetStatus(u64),
    GetStatus,
}

/// Bytes of a file that the front end wants mapped; both in bytes.
#[derive(Debug)]
pub(crate) struct FileRange {
    pub(crate) file: File,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl FileRange {
    /// The payload of SET_LOG_BASE's reply: the request's own.
    pub(crate) fn reply(&self) -> Vec<u8> {
        [self.len.to_ne_bytes(), self.offset.to_ne_bytes()].concat()
    }
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

impl Message {
    /// The meaning of a message: its request number, its payload and its descriptors.
    pub(crate) fn parse(
        request: u32,
        payload: &[u8],
        fds: Vec<OwnedFd>,
    ) -> Result<Self, MessageError> {
        let name = FrontendReq::try_from(request).map_err(|_| MessageError::Unknown(request))?;
        let mut body = Body::new(name, payload, fds);
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
            FrontendReq::SET_LOG_BASE => Self::SetLogBase(body.log()?),
            FrontendReq::SET_LOG_FD => Self::SetLogFd(body.fd()?),
            FrontendReq::GET_INFLIGHT_FD => Self::GetInflightFd(body.inflight()?.0),
            FrontendReq::SET_INFLIGHT_FD => {
                let (shape, offset, len) = body.inflight()?;
                let file = body.fd()?.into();
                Self::SetInflightFd(shape, FileRange { file, offset, len })
            }
            FrontendReq::RESET_DEVICE => Self::ResetDevice,
            FrontendReq::GET_MAX_MEM_SLOTS => Self::GetMaxMemSlots,
            FrontendReq::ADD_MEM_REG => {
                let span = body.single_region()?;
                Self::AddMemReg(span, body.fd()?.into())
            }
            FrontendReq::REM_MEM_REG => Self::RemMemReg(body.single_region()?),
            FrontendReq::SET_STATUS => Self::SetStatus(body.u64()?),
            FrontendReq::GET_STATUS => Self::GetStatus,
            name => return Err(MessageError::NotImplemented { name }),
        };
        Ok(message)
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The way in for the fuzz target of the parser: what it made of a message, without its types.

use std::fs::File;
use std::os::fd::OwnedFd;

use super::{FileRange, Header, InflightShape, Message};
use crate::memory::RegionSpan;

/// What a message says.
#[derive(Debug, Default)]
pub struct Said {
    /// Its numbers, in the order in which they are in the payload.
    pub numbers: Vec<u64>,
    /// Its bytes, if it has any that are no numbers.
    pub bytes: Vec<u8>,
    /// The descriptors that it kept.
    pub fds: Vec<OwnedFd>,
}

/// Request, payload length and whether an answer is wanted; `None` if it can be no header.
pub fn header(bytes: [u8; 12]) -> Option<(u32, usize, bool)> {
    let header = Header::parse(bytes).ok()?;
    Some((header.request, header.payload, header.needs_reply()))
}

/// The bytes of a reply to the message with this header.
pub fn reply(bytes: [u8; 12], payload: &[u8]) -> Option<Vec<u8>> {
    Some(Header::parse(bytes).ok()?.reply(payload))
}

/// What a message says; `None` if it is none.
pub fn message(request: u32, payload: &[u8], fds: Vec<OwnedFd>) -> Option<Said> {
    Some(Said::of(Message::parse(request, payload, fds).ok()?))
}

impl Said {
    fn of(message: Message) -> Self {
        match message {
            Message::GetFeatures
            | Message::SetOwner
            | Message::ResetOwner
            | Message::GetProtocolFeatures
            | Message::GetQueueNum
            | Message::ResetDevice
            | Message::GetMaxMemSlots
            | Message::GetStatus => Self::default(),
            Message::SetFeatures(value)
            | Message::SetProtocolFeatures(value)
            | Message::SetStatus(value) => Self::numbers(vec![value]),
            Message::SetVringNum { index, num: value }
            | Message::SetVringBase { index, base: value }
            | Message::SetVringEnable { index, enable: value } => {
                Self::numbers(vec![index.into(), value.into()])
            }
            Message::GetVringBase { index } => Self::numbers(vec![index.into()]),
            Message::SetVringAddr { index, addresses, log } => {
                let [descriptors, used, avail] =
                    [addresses.descriptors, addresses.used, addresses.avail];
                let mut numbers = vec![index.into(), descriptors, used, avail];
                numbers.extend(log);
                Self::numbers(numbers)
            }
            Message::SetVringKick { index, fd }
            | Message::SetVringCall { index, fd }
            | Message::SetVringErr { index, fd } => {
                Self { fds: fd.into_iter().collect(), ..Self::numbers(vec![index.into()]) }
            }
            Message::SetBackendReqFd(fd) | Message::SetLogFd(fd) => {
                Self { fds: vec![fd], ..Self::default() }
            }
            Message::GetConfig { offset, size, flags } => {
                Self::numbers([offset, size, flags].map(u64::from).to_vec())
            }
            Message::SetConfig { offset, data, flags } => {
                Self { bytes: data, ..Self::numbers([offset, flags].map(u64::from).to_vec()) }
            }
            Message::SetMemTable(regions) => {
                let numbers = regions.iter().flat_map(|(span, _)| Self::span(*span)).collect();
                let fds = regions.into_iter().map(|(_, file)| file.into()).collect();
                Self { numbers, bytes: Vec::new(), fds }
            }
            Message::AddMemReg(span, file) => Self::of_file(Self::span(span).to_vec(), file),
            Message::RemMemReg(span) => Self::numbers(Self::span(span).to_vec()),
            Message::SetLogBase(FileRange { file, offset, len }) => {
                Self::of_file(vec![len, offset], file)
            }
            Message::GetInflightFd(shape) => Self::numbers(Self::shape(shape).to_vec()),
            Message::SetInflightFd(shape, FileRange { file, offset, len }) => {
                Self::of_file([vec![len, offset], Self::shape(shape).to_vec()].concat(), file)
            }
        }
    }

    fn numbers(numbers: Vec<u64>) -> Self {
        Self { numbers, ..Self::default() }
    }

    fn of_file(numbers: Vec<u64>, file: File) -> Self {
        Self { fds: vec![file.into()], ..Self::numbers(numbers) }
    }

    fn span(span: RegionSpan) -> [u64; 4] {
        [span.guest, span.len, span.user, span.file_offset]
    }

    fn shape(shape: InflightShape) -> [u64; 2] {
        [shape.num_queues.into(), shape.queue_size.into()]
    }
}

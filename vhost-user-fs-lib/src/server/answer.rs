// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The answer to a request.

use std::marker::PhantomData;

use super::refusal::{Malformed, Served};
use crate::fuse::{CreateOut, OutHeader, StatxOut, Wire};
use crate::transport::{Outgoing, Sink};

/// The largest error number of Linux.
const MAX_ERRNO: i32 = 4095;

/// The most bytes that are written at once.
const LARGEST: usize = OutHeader::SIZE + StatxOut::SIZE;

const _: () = assert!(StatxOut::SIZE >= CreateOut::SIZE);

/// Where the answer goes.
#[derive(Clone, Copy)]
pub(super) struct Answer<'r> {
    outgoing: &'r dyn Outgoing,
    unique: u64,
}

/// Room for an answer of this type. To be had before the file system is asked.
pub(super) struct RoomFor<'r, T> {
    answer: Answer<'r>,
    is_for: PhantomData<T>,
}

impl<'r> Answer<'r> {
    pub(super) fn new(outgoing: &'r dyn Outgoing, unique: u64) -> Self {
        Self { outgoing, unique }
    }

    /// How many bytes there may be behind the header.
    pub(super) fn payload(&self) -> usize {
        self.outgoing.len().saturating_sub(OutHeader::SIZE)
    }

    /// Room for an answer of type `T`.
    pub(super) fn room<T: Wire>(&self) -> Result<RoomFor<'r, T>, Malformed> {
        self.check(T::SIZE)?;
        Ok(RoomFor { answer: *self, is_for: PhantomData })
    }

    /// The answer, if there is room for it.
    pub(super) fn bytes(&self, payload: &[u8]) -> Served {
        self.check(payload.len())?;
        self.write(OutHeader::SIZE, payload)?;
        self.in_place(payload.len())
    }

    /// `payload` bytes of the answer are there already.
    pub(super) fn in_place(&self, payload: usize) -> Served {
        let mut header = [0; OutHeader::SIZE];
        self.header(0, payload).put(&mut header.as_mut_slice());
        self.write(0, &header)?;
        Ok(OutHeader::SIZE + payload)
    }

    /// Where at most `len` bytes of data can go.
    pub(super) fn sink(&self, len: usize) -> Sink<'r> {
        Sink::new(self.outgoing, OutHeader::SIZE, len.min(self.payload()))
    }

    /// Writes `bytes` behind the first `done` ones of the payload.
    pub(super) fn put(&self, done: usize, bytes: &[u8]) -> Result<(), Malformed> {
        self.write(OutHeader::SIZE + done, bytes)
    }

    /// An error. One that Linux does not know is EIO.
    pub(super) fn error(&self, errno: i32) -> usize {
        let errno = if (1..=MAX_ERRNO).contains(&errno) { errno } else { libc::EIO };
        let mut header = [0; OutHeader::SIZE];
        self.header(-errno, 0).put(&mut header.as_mut_slice());
        if self.outgoing.write(0, &header).is_ok() { header.len() } else { 0 }
    }

    fn check(&self, payload: usize) -> Result<(), Malformed> {
        let (there, wanted) = (self.outgoing.len(), OutHeader::SIZE + payload);
        if there < wanted { Err(Malformed::Room { there, wanted }) } else { Ok(()) }
    }

    fn header(&self, error: i32, payload: usize) -> OutHeader {
        let len = u32::try_from(OutHeader::SIZE + payload).unwrap_or(u32::MAX);
        OutHeader { len, error, unique: self.unique }
    }

    fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Malformed> {
        let written = self.outgoing.write(offset, bytes);
        written.map_err(|short| Malformed::Room {
            there: self.outgoing.len(),
            wanted: short.offset.saturating_add(short.len),
        })
    }
}

impl<T: Wire> RoomFor<'_, T> {
    /// Writes the answer.
    pub(super) fn fill(&self, payload: &T) -> Served {
        let mut bytes = [0; LARGEST];
        let mut room = bytes.as_mut_slice();
        self.answer.header(0, T::SIZE).put(&mut room);
        payload.put(&mut room);
        let len = OutHeader::SIZE + T::SIZE;
        self.answer.write(0, bytes.get(..len).unwrap_or_default())?;
        Ok(len)
    }
}

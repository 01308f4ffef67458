// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The bytes of a request, from its header to its end.

use vhost_user_device::planted::Planted;

use super::refusal::Malformed;
use crate::filesystem::{Caller, Context};
use crate::fuse::{InHeader, SetattrIn, Wire};
use crate::transport::{Incoming, Source};

/// What is read at once: the header and, behind it, the longest arguments of a fixed size. Most names fit,
/// too.
const HEAD: usize = InHeader::SIZE + SetattrIn::SIZE;

/// What is not read at once but needs no allocation: two names, and some.
const SHORT: usize = 640;

/// A request. It is read in order, and each byte that means something is read once.
pub(super) struct Request<'r> {
    pub(super) header: InHeader,
    incoming: &'r dyn Incoming,
    head: [u8; HEAD],
    /// How many bytes of `head` are of the request.
    have: usize,
    /// The next byte.
    at: usize,
    /// The first byte that is not of the request.
    end: usize,
}

/// The last bytes of a request, copied.
pub(super) struct Tail {
    short: [u8; SHORT],
    long: Vec<u8>,
    len: usize,
}

impl<'r> Request<'r> {
    /// Reads the header. What is behind the bytes that it says is ignored.
    ///
    /// # Errors
    /// There is none, or fewer bytes are there than it says; then its `unique` comes back.
    pub(super) fn new(incoming: &'r dyn Incoming) -> Result<Self, (Malformed, Option<u64>)> {
        let there = incoming.len();
        let have = there.min(HEAD);
        let mut head = [0; HEAD];
        let read = head.get_mut(..have).map(|head| incoming.read(0, head));
        if have < InHeader::SIZE || !matches!(read, Some(Ok(()))) {
            return Err((Malformed::Header { there }, None));
        }
        let header = InHeader::take(&mut head.as_slice());
        let end = usize::try_from(header.len).unwrap_or(usize::MAX);
        if !(InHeader::SIZE..=there).contains(&end) {
            return Err((Malformed::Length { said: header.len, there }, Some(header.unique)));
        }
        Ok(Self { header, incoming, head, have: have.min(end), at: InHeader::SIZE, end })
    }

    pub(super) fn context(&self, may_wait: bool) -> Context {
        let InHeader { uid, gid, pid, .. } = self.header;
        Context { caller: Caller { uid, gid, pid }, may_wait }
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.end - self.at
    }

    /// The next arguments of a fixed size.
    #[inline]
    pub(super) fn take<T: Wire>(&mut self) -> Result<T, Malformed> {
        let mut bytes = [0; SetattrIn::SIZE];
        const { assert!(T::SIZE <= SetattrIn::SIZE) };
        let bytes = bytes.get_mut(..T::SIZE).unwrap_or_default();
        self.copy(bytes)?;
        Ok(T::take(&mut &*bytes))
    }

    /// The next `len` bytes, which are data and are not read.
    pub(super) fn data(&mut self, len: usize) -> Result<Source<'r>, Malformed> {
        let start = match self.advance(len) {
            Err(_) if Planted::Source.is_here() => self.at,
            start => start?,
        };
        Ok(Source::new(self.incoming, start, len))
    }

    /// The next bytes.
    pub(super) fn copy(&mut self, out: &mut [u8]) -> Result<(), Malformed> {
        let start = self.advance(out.len())?;
        let short = Malformed::Short { offset: start, len: out.len() };
        let read = self.head.get(start..self.have).unwrap_or_default();
        let (from_head, behind) = out.split_at_mut(read.len().min(out.len()));
        from_head.copy_from_slice(read.get(..from_head.len()).unwrap_or_default());
        if behind.is_empty() {
            return Ok(());
        }
        self.incoming.read(start + from_head.len(), behind).map_err(|_| short)
    }

    /// All that is left.
    ///
    /// # Errors
    /// It is more than `most` bytes.
    pub(super) fn tail(&mut self, most: usize) -> Result<Tail, Malformed> {
        let len = self.left();
        if len > most {
            return Err(Malformed::Long { there: len, most });
        }
        let mut tail = Tail { short: [0; SHORT], long: Vec::new(), len };
        if len > SHORT {
            tail.long = vec![0; len];
            self.copy(&mut tail.long)?;
        } else {
            self.copy(tail.short.get_mut(..len).unwrap_or_default())?;
        }
        Ok(tail)
    }

    /// How many bytes at its end are extensions.
    pub(super) fn extensions(&self) -> usize {
        8 * usize::from(self.header.total_extlen)
    }

    fn advance(&mut self, len: usize) -> Result<usize, Malformed> {
        let start = self.at;
        if len > self.left() {
            return Err(Malformed::Short { offset: start, len });
        }
        self.at += len;
        Ok(start)
    }
}

impl Tail {
    pub(super) fn bytes(&self) -> &[u8] {
        if self.long.is_empty() {
            self.short.get(..self.len).unwrap_or_default()
        } else {
            &self.long
        }
    }
}

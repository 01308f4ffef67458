// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Where the bytes of a request come from and where those of its answer go: descriptor chains in a
//! guest's memory, or anything else that an embedder brings.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use libc::c_int;

/// Bytes were asked for that a part of a request does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bytes {offset} + {len} are beyond the end")]
pub struct Short {
    /// Where the access began.
    pub offset: usize,
    /// Its length in bytes.
    pub len: usize,
}

/// A request as the client wrote it: header, arguments, data. The client may change it at any time, so
/// each byte is to be read once.
pub trait Incoming {
    /// How many bytes there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies bytes `offset..offset + out.len()` out.
    ///
    /// # Errors
    /// There are fewer; then nothing was copied.
    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), Short>;

    /// Writes at most `len` bytes from `from` on to `file`, at `offset` there, with the `RWF_...` flags of
    /// pwritev2(2). Returns how many were written.
    ///
    /// # Errors
    /// Those of pwritev2(2).
    fn write_to(
        &self,
        from: usize,
        len: usize,
        file: BorrowedFd<'_>,
        offset: u64,
        flags: c_int,
    ) -> io::Result<usize>;
}

/// The room for the answer.
pub trait Outgoing {
    /// How many bytes it has.
    fn len(&self) -> usize;

    /// Whether it has none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies `data` to bytes `offset..offset + data.len()`.
    ///
    /// # Errors
    /// There are fewer; then nothing was copied.
    fn write(&self, offset: usize, data: &[u8]) -> Result<(), Short>;

    /// Reads at most `len` bytes from `file`, from `offset` there on, to bytes from `into` on, with the
    /// `RWF_...` flags of preadv2(2). Returns how many were read.
    ///
    /// # Errors
    /// Those of preadv2(2).
    fn read_from(
        &self,
        into: usize,
        len: usize,
        file: BorrowedFd<'_>,
        offset: u64,
        flags: c_int,
    ) -> io::Result<usize>;
}

/// The data of a WRITE.
#[derive(Clone, Copy)]
pub struct Source<'r> {
    request: &'r dyn Incoming,
    start: usize,
    len: usize,
}

/// Where the data of a READ goes.
#[derive(Clone, Copy)]
pub struct Sink<'r> {
    answer: &'r dyn Outgoing,
    start: usize,
    len: usize,
}

#[expect(clippy::len_without_is_empty, reason = "it is asked for by whoever has a use for none")]
impl<'r> Source<'r> {
    /// Bytes `start..start + len` of a request, which has them.
    pub(crate) fn new(request: &'r dyn Incoming, start: usize, len: usize) -> Self {
        Self { request, start, len }
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Writes what is behind the first `done` bytes to `file`, at `offset` there. Returns how many bytes
    /// were written: maybe fewer than there are.
    ///
    /// # Errors
    /// Those of pwritev2(2) with these flags.
    pub fn write_to(
        &self,
        done: usize,
        file: BorrowedFd<'_>,
        offset: u64,
        flags: c_int,
    ) -> io::Result<usize> {
        let done = done.min(self.len);
        self.request.write_to(self.start + done, self.len - done, file, offset, flags)
    }
}

#[expect(clippy::len_without_is_empty, reason = "it is asked for by whoever has a use for none")]
impl<'r> Sink<'r> {
    /// Bytes `start..start + len` of an answer, which has them.
    pub(crate) fn new(answer: &'r dyn Outgoing, start: usize, len: usize) -> Self {
        Self { answer, start, len }
    }

    /// How many bytes it takes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Reads from `file`, from `offset` there on, to what is behind the first `done` bytes. Returns how
    /// many bytes were read: fewer than there is room for at the end of the file, and else maybe.
    ///
    /// # Errors
    /// Those of preadv2(2) with these flags.
    pub fn read_from(
        &self,
        done: usize,
        file: BorrowedFd<'_>,
        offset: u64,
        flags: c_int,
    ) -> io::Result<usize> {
        let done = done.min(self.len);
        self.answer.read_from(self.start + done, self.len - done, file, offset, flags)
    }

    /// Copies `data` to what is behind the first `done` bytes.
    ///
    /// # Errors
    /// There is less room.
    pub fn write(&self, done: usize, data: &[u8]) -> Result<(), Short> {
        match done.checked_add(data.len()) {
            Some(end) if end <= self.len => self.answer.write(self.start + done, data),
            _ => Err(Short { offset: done, len: data.len() }),
        }
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("len", &self.len).finish_non_exhaustive()
    }
}

impl fmt::Debug for Sink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("len", &self.len).finish_non_exhaustive()
    }
}

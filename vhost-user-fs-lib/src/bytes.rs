// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Requests and answers in our own memory, for embedders that have no virtqueue.

#[expect(unsafe_code, reason = "the room for the system calls")]
mod sys;

use std::cell::RefCell;
use std::io;
use std::os::fd::BorrowedFd;

use libc::c_int;

use crate::transport::{Incoming, Outgoing, Short};

/// A request in our own memory.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'b>(&'b [u8]);

/// The room for an answer in our own memory.
#[derive(Clone, Debug, Default)]
pub struct Room(RefCell<Vec<u8>>);

impl<'b> Bytes<'b> {
    /// A request of these bytes.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }
}

impl Room {
    /// Room for `len` bytes, which are zero.
    pub fn new(len: usize) -> Self {
        Self(RefCell::new(vec![0; len]))
    }

    /// All of it, also what is behind the answer.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner()
    }
}

impl Incoming for Bytes<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), Short> {
        let short = Short { offset, len: out.len() };
        let bytes = self.0.get(offset..).and_then(|rest| rest.get(..out.len())).ok_or(short)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn write_to(
        &self,
        from: usize,
        len: usize,
        file: BorrowedFd<'_>,
        offset: u64,
        flags: c_int,
    ) -> io::Result<usize> {
        let rest = self.0.get(from..).unwrap_or_default();
        sys::write(file, rest.get(..len).unwrap_or(rest), offset, flags)
    }
}

impl Outgoing for Room {
    fn len(&self) -> usize {
        self.0.borrow().len()
    }

    fn write(&self, offset: usize, data: &[u8]) -> Result<(), Short> {
        let short = Short { offset, len: data.len() };
        let mut room = self.0.borrow_mut();
        let rest = room.get_mut(offset..).and_then(|rest| rest.get_mut(..data.len()));
        rest.ok_or(short)?.copy_from_slice(data);
        Ok(())
    }

    fn read_from(
        &self,
        into: usize,
        len: usize,
        file: BorrowedFd<'_>,
        offset: u64,
        flags: c_int,
    ) -> io::Result<usize> {
        let mut room = self.0.borrow_mut();
        let rest = room.get_mut(into..).unwrap_or_default();
        let len = len.min(rest.len());
        sys::read(file, rest.get_mut(..len).unwrap_or_default(), offset, flags)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn bytes_beyond_the_end_are_refused() {
        let bytes = Bytes::new(b"abc");
        let mut out = [0; 2];
        assert_eq!(bytes.read(1, &mut out), Ok(()));
        assert_eq!(&out, b"bc");
        let error = bytes.read(2, &mut out).unwrap_err();
        assert_eq!(error.to_string(), "bytes 2 + 2 are beyond the end");
        let room = Room::new(3);
        assert_eq!(room.write(1, b"xy"), Ok(()));
        assert_eq!(room.write(usize::MAX, b"z"), Err(Short { offset: usize::MAX, len: 1 }));
        assert_eq!(room.into_bytes(), b"\0xy");
    }

    #[test]
    fn data_goes_to_a_file_and_comes_back() {
        let file = tempfile::tempfile().unwrap();
        let written = Bytes::new(b"abcdef").write_to(2, 3, file.as_fd(), 4, 0).unwrap();
        assert_eq!(written, 3);
        let room = Room::new(5);
        assert_eq!(room.read_from(1, 9, file.as_fd(), 3, 0).unwrap(), 4);
        assert_eq!(room.into_bytes(), b"\0\0cde");
    }

    #[test]
    fn offset_that_is_none_is_refused_by_the_kernel() {
        let file = tempfile::tempfile().unwrap();
        let error = Bytes::new(b"a").write_to(0, 1, file.as_fd(), u64::MAX - 9, 0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A request and its answer, which see to it that nobody goes beyond their end.

use std::cell::RefCell;
use std::io;
use std::os::fd::BorrowedFd;

use vhost_user_fs_lib::{Incoming, Outgoing, Short};

use super::judge::{Given, HANDLE, INODE};

/// What nobody has written.
pub(super) const BLANK: u8 = 0xa5;

/// A request. Each of its bytes may be read once: the next time, the client could have changed it.
pub(super) struct Request<'b> {
    bytes: &'b [u8],
    was_read: RefCell<Vec<bool>>,
}

impl<'b> Request<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, was_read: RefCell::new(vec![false; bytes.len()]) }
    }

    pub(super) fn has_header(&self) -> bool {
        self.bytes.len() >= 40
    }
}

impl Incoming for Request<'_> {
    fn len(&self) -> usize {
        self.bytes.len()
    }

    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), Short> {
        let short = Short { offset, len: out.len() };
        let range = offset..offset.checked_add(out.len()).ok_or(short)?;
        out.copy_from_slice(self.bytes.get(range.clone()).ok_or(short)?);
        for was_read in &mut self.was_read.borrow_mut()[range] {
            assert!(!*was_read, "a byte is read twice");
            *was_read = true;
        }
        Ok(())
    }

    fn write_to(
        &self,
        from: usize,
        len: usize,
        _: BorrowedFd<'_>,
        _: u64,
        _: i32,
    ) -> io::Result<usize> {
        let end = from.checked_add(len).expect("an end");
        assert!(end <= self.bytes.len(), "data from {from} to {end} of {}", self.bytes.len());
        Ok(len)
    }
}

/// The room for an answer.
pub(super) struct Answer(RefCell<Vec<u8>>);

impl Answer {
    pub(super) fn new(room: usize) -> Self {
        Self(RefCell::new(vec![BLANK; room]))
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner()
    }
}

impl Outgoing for Answer {
    fn len(&self) -> usize {
        self.0.borrow().len()
    }

    fn write(&self, offset: usize, data: &[u8]) -> Result<(), Short> {
        let short = Short { offset, len: data.len() };
        let end = offset.checked_add(data.len()).ok_or(short)?;
        self.0.borrow_mut().get_mut(offset..end).ok_or(short)?.copy_from_slice(data);
        Ok(())
    }

    fn read_from(
        &self,
        into: usize,
        len: usize,
        _: BorrowedFd<'_>,
        _: u64,
        _: i32,
    ) -> io::Result<usize> {
        let end = into.checked_add(len).expect("an end");
        self.0.borrow_mut()[into..end].fill(0);
        Ok(len)
    }
}

/// Looks at an answer: a header that says what is there, and all that the file system gave.
pub(super) fn judge(opcode: u32, bytes: &[u8], given: &Given) {
    let word = |at| u64::from(u32::from_ne_bytes(number(bytes, at)));
    let long = |at| u64::from_ne_bytes(number(bytes, at));
    assert_eq!(word(0), bytes.len() as u64, "the length in the header");
    assert_eq!(long(8), 1 | 2 << 32, "whose answer it is");
    let error = u32::from_ne_bytes(number(bytes, 4)).cast_signed();
    assert!((-4095..=0).contains(&error), "error {error}");
    if error != 0 {
        assert_eq!(bytes.len(), 16, "an error has nothing behind its header");
        assert_eq!(given.count(), 0, "what nobody hears of");
        return;
    }
    let (entries, opened) = match opcode {
        1 | 6 | 8 | 9 | 13 => (usize::from(long(16) == INODE), 0),
        14 | 27 => (0, usize::from(long(16) == HANDLE)),
        35 | 51 => (usize::from(long(16) == INODE), usize::from(long(144) == HANDLE)),
        44 => (records(&bytes[16..], 128), 0),
        28 => (records(&bytes[16..], 0), 0),
        _ => (0, 0),
    };
    assert_eq!(given.entries, entries, "entries in the answer");
    assert_eq!(given.opened, opened, "handles in the answer");
}

/// How many records have an inode. Each has as many bytes before its `fuse_dirent`.
fn records(mut bytes: &[u8], plus: usize) -> usize {
    let mut inodes = 0;
    while !bytes.is_empty() {
        let len = u32::from_ne_bytes(number(bytes, plus + 16)) as usize;
        assert!((1..=255).contains(&len), "a name of {len} bytes");
        inodes += usize::from(plus > 0 && u64::from_ne_bytes(number(bytes, 0)) == INODE);
        bytes = &bytes[(plus + 24 + len).next_multiple_of(8)..];
    }
    inodes
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a number")
}

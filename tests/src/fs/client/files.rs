// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Requests about a file that is open.

use super::{FsClient, Opened, Reply};
use crate::fs::wire::{Body, Fields, RELEASE_FLUSH, opcode};

/// A part of an open file: node, handle and offset in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The file.
    pub node: u64,
    /// Its handle.
    pub fh: u64,
    /// Where the part begins.
    pub offset: u64,
}

impl FsClient {
    /// OPEN, with flags of open(2).
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn open(&mut self, node: u64, flags: i32) -> Reply<Opened> {
        let body = Body::new().u32s(&[flags.cast_unsigned(), 0]).finish();
        self.request(opcode::OPEN, node, &body, 16).map(|reply| Opened::alone(&reply))
    }

    /// READ of at most `len` bytes.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn read(&mut self, node: u64, fh: u64, offset: u64, len: usize) -> Reply<Vec<u8>> {
        let body = Self::read_body(fh, offset, len);
        self.request(opcode::READ, node, &body, len).map(Vec::from)
    }

    /// `fuse_read_in`, also of READDIR and READDIRPLUS.
    pub fn read_body(fh: u64, offset: u64, len: usize) -> Vec<u8> {
        let len = u32::try_from(len).expect("the length of a READ");
        let body = Body::new().u64s(&[fh, offset]).u32s(&[len, 0]).u64s(&[0]);
        body.u32s(&[0, 0]).finish()
    }

    /// WRITE of `bytes`; how many were written.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn write(&mut self, node: u64, fh: u64, offset: u64, bytes: &[u8]) -> Reply<usize> {
        self.write_with(node, fh, offset, bytes, 0)
    }

    /// WRITE with flags of FUSE, such as FUSE_WRITE_KILL_SUIDGID.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn write_with(
        &mut self,
        node: u64,
        fh: u64,
        offset: u64,
        bytes: &[u8],
        flags: u32,
    ) -> Reply<usize> {
        let len = u32::try_from(bytes.len()).expect("the length of a WRITE");
        let body = Body::new().u64s(&[fh, offset]).u32s(&[len, flags]).u64s(&[0]);
        let body = body.u32s(&[0, 0]).bytes(bytes).finish();
        self.request(opcode::WRITE, node, &body, 8).map(written)
    }

    /// FLUSH, as close(2) sends it.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn flush(&mut self, node: u64, fh: u64, owner: u64) -> Reply<()> {
        let body = Body::new().u64s(&[fh]).u32s(&[0, 0]).u64s(&[owner]).finish();
        self.request(opcode::FLUSH, node, &body, 0).map(drop)
    }

    /// RELEASE of a handle.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn release(&mut self, node: u64, fh: u64) -> Reply<()> {
        self.release_with(node, fh, 0, 0)
    }

    /// RELEASE with flags of FUSE, such as FUSE_RELEASE_FLOCK_UNLOCK, and the owner of locks.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn release_with(&mut self, node: u64, fh: u64, flags: u32, owner: u64) -> Reply<()> {
        let body = Body::new().u64s(&[fh]).u32s(&[0, flags]).u64s(&[owner]).finish();
        self.request(opcode::RELEASE, node, &body, 0).map(drop)
    }

    /// RELEASE that is a FLUSH, too.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn release_flushed(&mut self, node: u64, fh: u64, owner: u64) -> Reply<()> {
        self.release_with(node, fh, RELEASE_FLUSH, owner)
    }

    /// FSYNC, of the data alone or of all.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn fsync(&mut self, node: u64, fh: u64, data_only: bool) -> Reply<()> {
        let body = Body::new().u64s(&[fh]).u32s(&[data_only.into(), 0]).finish();
        self.request(opcode::FSYNC, node, &body, 0).map(drop)
    }

    /// FALLOCATE of `len` bytes, with a mode of fallocate(2).
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn fallocate(&mut self, at: Range, len: u64, mode: u32) -> Reply<()> {
        let body = Body::new().u64s(&[at.fh, at.offset, len]).u32s(&[mode, 0]).finish();
        self.request(opcode::FALLOCATE, at.node, &body, 0).map(drop)
    }

    /// LSEEK from the beginning of the range; the offset that was found.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn lseek(&mut self, from: Range, whence: i32) -> Reply<u64> {
        let body = Body::new().u64s(&[from.fh, from.offset]).u32s(&[whence.cast_unsigned(), 0]);
        let reply = self.request(opcode::LSEEK, from.node, &body.finish(), 8)?;
        Ok(Fields::of(&reply).u64())
    }

    /// COPY_FILE_RANGE of `len` bytes; how many were copied.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn copy_file_range(&mut self, from: Range, to: Range, len: u64) -> Reply<usize> {
        let body = Self::copy_body(from, to, len);
        self.request(opcode::COPY_FILE_RANGE, from.node, &body, 8).map(written)
    }

    /// COPY_FILE_RANGE_64 of `len` bytes; how many were copied.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn copy_file_range_64(&mut self, from: Range, to: Range, len: u64) -> Reply<u64> {
        let body = Self::copy_body(from, to, len);
        let reply = self.request(opcode::COPY_FILE_RANGE_64, from.node, &body, 8)?;
        Ok(Fields::of(&reply).u64())
    }

    fn copy_body(from: Range, to: Range, len: u64) -> Vec<u8> {
        let body = Body::new().u64s(&[from.fh, from.offset]);
        body.u64s(&[to.node, to.fh, to.offset, len, 0]).finish()
    }

    /// IOCTL `command` with `input` as its argument; what came back in room for `room` bytes.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn ioctl(
        &mut self,
        node: u64,
        fh: u64,
        command: u32,
        input: &[u8],
        room: usize,
    ) -> Reply<(i32, Vec<u8>)> {
        let [from, to] = [input.len(), room].map(u32::try_from);
        let (from, to) = (from.expect("the length of input"), to.expect("room for output"));
        let body = Body::new().u64s(&[fh]).u32s(&[0, command]).u64s(&[0]).u32s(&[from, to]);
        let reply = self.request(opcode::IOCTL, node, &body.bytes(input).finish(), 16 + room)?;
        let mut fields = Fields::of(&reply);
        let result = fields.u32().cast_signed();
        fields.take(12);
        Ok((result, fields.rest().to_vec()))
    }
}

/// `fuse_write_out`.
#[track_caller]
fn written(reply: crate::bytes::Bytes) -> usize {
    usize::try_from(Fields::of(&reply).u32()).expect("a number of bytes")
}

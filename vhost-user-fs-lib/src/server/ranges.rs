// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Ranges of open files: FALLOCATE, LSEEK, COPY_FILE_RANGE.

use super::refusal::Served;
use super::{Call, Server};
use crate::filesystem::{FileSystem, Handle, Inode};
use crate::fuse::{CopyFileRangeIn, CopyFileRangeOut, FallocateIn, LseekIn, LseekOut, WriteOut};

/// The most bytes that one COPY_FILE_RANGE copies: its answer has 32 bits, and whole pages are best.
const MOST: u64 = 0xffff_f000;

impl<F: FileSystem> Server<F> {
    pub(super) fn fallocate(&self, call: &mut Call<'_>) -> Served {
        let FallocateIn { fh, offset, length, mode, .. } = call.request.take()?;
        let room = call.answer.room()?;
        let (inode, handle) = (call.inode(), Handle(fh));
        self.fs.allocate(&call.context, inode, handle, mode, offset, length)?;
        room.fill(&())
    }

    pub(super) fn lseek(&self, call: &mut Call<'_>) -> Served {
        let LseekIn { fh, offset, whence, .. } = call.request.take()?;
        let room = call.answer.room()?;
        let offset = self.fs.seek(&call.context, call.inode(), Handle(fh), offset, whence)?;
        room.fill(&LseekOut { offset })
    }

    /// The answer is `wide` to COPY_FILE_RANGE_64.
    pub(super) fn copy_file_range(&self, call: &mut Call<'_>, wide: bool) -> Served {
        let said: CopyFileRangeIn = call.request.take()?;
        // One is as large as the other.
        let (narrow_room, wide_room) = (call.answer.room()?, call.answer.room()?);
        let from = (call.inode(), Handle(said.fh_in), said.off_in);
        let to = (Inode(said.nodeid_out), Handle(said.fh_out), said.off_out);
        let len = if wide { said.len } else { said.len.min(MOST) };
        let copied = self.fs.copy_range(&call.context, from, to, len, said.flags)?.min(len);
        if wide {
            return wide_room.fill(&CopyFileRangeOut { bytes_copied: copied });
        }
        let size = u32::try_from(copied).unwrap_or(u32::MAX);
        narrow_room.fill(&WriteOut { size, padding: 0 })
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Open files: from OPEN to RELEASE, READ and WRITE.

use super::entries::opening;
use super::refusal::{Malformed, Served};
use super::{Call, Server};
use crate::filesystem::{FileSystem, Handle, LockOwner, Release, Writing};
use crate::fuse::{FlushIn, FsyncIn, OpenIn, OpenOut, ReadIn, ReleaseIn, WriteIn, WriteOut};

impl<F: FileSystem> Server<F> {
    pub(super) fn open(&self, call: &mut Call<'_>) -> Served {
        let OpenIn { flags, open_flags } = call.request.take()?;
        let room = call.answer.room()?;
        let opened = self.fs.open(&call.context, call.inode(), opening(flags, open_flags))?;
        room.fill(&OpenOut::from(opened))
    }

    pub(super) fn read(&self, call: &mut Call<'_>) -> Served {
        let ReadIn { fh, offset, size, .. } = call.request.take()?;
        call.answer.room::<()>()?;
        let size = size.min(self.limits.max_write);
        let sink = call.answer.sink(usize::try_from(size).unwrap_or(usize::MAX));
        let read = self.fs.read(&call.context, call.inode(), Handle(fh), offset, &sink)?;
        call.answer.in_place(read.min(sink.len()))
    }

    pub(super) fn write(&self, call: &mut Call<'_>) -> Served {
        let WriteIn { fh, offset, size, write_flags, flags, .. } = call.request.take()?;
        let room = call.answer.room()?;
        if size > self.limits.max_write {
            return Err(Malformed::Value { what: "a length of", value: size.into() }.into());
        }
        let len = usize::try_from(size).unwrap_or(usize::MAX);
        let source = call.request.data(len)?;
        let writing = Writing {
            from_cache: write_flags & WriteIn::CACHE != 0,
            kill_suid_sgid: write_flags & WriteIn::KILL_SUIDGID != 0,
            flags,
        };
        let (inode, handle) = (call.inode(), Handle(fh));
        let written = self.fs.write(&call.context, inode, handle, offset, &source, writing)?;
        // More than there was cannot have been written.
        let size = u32::try_from(written).unwrap_or(u32::MAX).min(size);
        room.fill(&WriteOut { size, padding: 0 })
    }

    pub(super) fn flush(&self, call: &mut Call<'_>) -> Served {
        let FlushIn { fh, lock_owner, .. } = call.request.take()?;
        let room = call.answer.room()?;
        self.fs.flush(&call.context, call.inode(), Handle(fh), LockOwner(lock_owner))?;
        room.fill(&())
    }

    pub(super) fn release(&self, call: &mut Call<'_>) -> Served {
        let ReleaseIn { fh, release_flags, lock_owner, .. } = call.request.take()?;
        let room = call.answer.room()?;
        let release = Release {
            owner: LockOwner(lock_owner),
            flush: release_flags & ReleaseIn::FLUSH != 0,
            unlock: release_flags & ReleaseIn::FLOCK_UNLOCK != 0,
        };
        self.fs.release(&call.context, call.inode(), Handle(fh), release)?;
        room.fill(&())
    }

    pub(super) fn fsync(&self, call: &mut Call<'_>) -> Served {
        let (handle, data_only) = sync_of(call)?;
        let room = call.answer.room()?;
        self.fs.sync(&call.context, call.inode(), handle, data_only)?;
        room.fill(&())
    }

    pub(super) fn fsyncdir(&self, call: &mut Call<'_>) -> Served {
        let (handle, data_only) = sync_of(call)?;
        let room = call.answer.room()?;
        self.fs.sync_directory(&call.context, call.inode(), handle, data_only)?;
        room.fill(&())
    }
}

fn sync_of(call: &mut Call<'_>) -> Result<(Handle, bool), Malformed> {
    let FsyncIn { fh, fsync_flags, .. } = call.request.take()?;
    Ok((Handle(fh), fsync_flags & FsyncIn::FDATASYNC != 0))
}

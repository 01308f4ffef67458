// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! FSYNC, FSYNCDIR, SYNCFS, FALLOCATE, LSEEK.

use std::os::fd::AsFd;

use super::Passthrough;
use super::inode::Place;
use crate::filesystem::{Context, Failure, Handle, InitFlags, Inode, Result};
use crate::sys::directory::seek;
use crate::sys::space::{fallocate, fsync, syncfs};

/// What fallocate(2) may be asked for; the rest moves data and is nothing that a client has a use for.
const MODES: i32 =
    libc::FALLOC_FL_KEEP_SIZE | libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_ZERO_RANGE;

impl Passthrough {
    pub(super) fn sync_file(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        data_only: bool,
    ) -> Result<()> {
        let open = match self.handles.get(inode, handle) {
            // What is read alone has nothing to be written.
            Err(_) if self.has(InitFlags::NO_OPEN_SUPPORT) => return Ok(()),
            result => result?,
        };
        may_wait(context)?;
        Ok(fsync(open.as_fd(), data_only)?)
    }

    pub(super) fn sync_file_system(&self, context: &Context, inode: Inode) -> Result<()> {
        let node = self.node(inode)?;
        may_wait(context)?;
        match &node.place {
            Place::Handle { mount, .. } => Ok(syncfs(mount.as_fd())?),
            Place::Descriptor(_) => Ok(syncfs(self.open_node(&node, libc::O_RDONLY)?.as_fd())?),
        }
    }

    pub(super) fn reserve(
        &self,
        context: &Context,
        place: (Inode, Handle),
        mode: u32,
        offset: u64,
        len: u64,
    ) -> Result<()> {
        let open = self.open_file_of(place.0, place.1)?;
        if mode.cast_signed() & !MODES != 0 {
            return Err(Failure::EOPNOTSUPP);
        }
        may_wait(context)?;
        // As a write would: who may not keep the bits does not.
        let kill = self.has(InitFlags::HANDLE_KILLPRIV_V2);
        self.killing(kill, || fallocate(open.as_fd(), mode, offset, len))
    }

    pub(super) fn find_data(
        &self,
        inode: Inode,
        handle: Handle,
        offset: u64,
        whence: u32,
    ) -> Result<u64> {
        let open = self.file_of(inode, handle)?;
        open.file()?;
        match whence.cast_signed() {
            whence @ (libc::SEEK_DATA | libc::SEEK_HOLE) => Ok(seek(open.as_fd(), offset, whence)?),
            _ => Err(Failure::EINVAL),
        }
    }
}

/// To be asked before something is done that waits for the storage.
pub(super) fn may_wait(context: &Context) -> Result<()> {
    if context.may_wait { Ok(()) } else { Err(Failure::WouldWait) }
}

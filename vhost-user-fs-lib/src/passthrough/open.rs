// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! OPEN, OPENDIR, FLUSH, RELEASE, RELEASEDIR; locks.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use libc::c_int;

use super::Passthrough;
use super::descriptors::{Descriptor, Permit};
use super::directory::Cursor;
use super::handles::{File, Open, What};
use super::inode::Node;
use crate::filesystem::{
    Context, Failure, Handle, InitFlags, Inode, Lock, LockOwner, LockRequest, Opened, Opening,
    Release, Result,
};
use crate::sys::open::{close, duplicate};

/// What has to be waited for when it is written.
const WAITS: c_int = libc::O_DSYNC | libc::O_SYNC | libc::O_DIRECT;

impl Passthrough {
    pub(super) fn open_file(&self, inode: Inode, opening: Opening) -> Result<Opened> {
        if self.has(InitFlags::NO_OPEN_SUPPORT) {
            return Err(Failure::ENOSYS);
        }
        let node = self.node(inode)?;
        if node.is_directory() {
            return Err(Failure::Errno(libc::EISDIR));
        }
        let flags = self.host_flags(opening.flags)?;
        let permit = self.permit()?;
        let kill = opening.kill_suid_sgid && flags & libc::O_TRUNC != 0;
        let open = || self.open_node(&node, flags);
        let fd = if kill { self.callers.without_fsetid(open)?? } else { open()? };
        Ok(self.keep_file(&node, fd, permit, flags, opening.flags))
    }

    /// Gives the client a handle for an open file. `flags` are those of the host, `asked` the client's.
    pub(super) fn keep_file(
        &self,
        node: &Node,
        fd: OwnedFd,
        permit: Permit,
        flags: c_int,
        asked: u32,
    ) -> Opened {
        let handle = self.handles.insert(open_file(node, fd, permit, flags));
        Opened { handle, flags: self.file_flags(asked) }
    }

    /// The file of a handle; without OPEN each has none, and is opened for one operation.
    pub(super) fn file_of(&self, inode: Inode, handle: Handle) -> Result<Arc<Open>> {
        match self.handles.get(inode, handle) {
            Err(_) if self.has(InitFlags::NO_OPEN_SUPPORT) => {
                let (node, permit) = (self.node(inode)?, self.permit()?);
                let flags = self.host_flags(0)?;
                let fd = self.open_node(&node, flags)?;
                Ok(Arc::new(open_file(&node, fd, permit, flags)))
            }
            result => result,
        }
    }

    pub(super) fn open_directory_of(&self, inode: Inode, flags: u32) -> Result<Opened> {
        if self.has(InitFlags::NO_OPENDIR_SUPPORT) {
            return Err(Failure::ENOSYS);
        }
        let open = self.directory_once(inode, flags)?;
        Ok(Opened { handle: self.handles.insert(open), flags: self.directory_flags() })
    }

    /// The directory of a handle; see [`Passthrough::file_of`].
    pub(super) fn directory_of(&self, inode: Inode, handle: Handle) -> Result<Arc<Open>> {
        match self.handles.get(inode, handle) {
            Err(_) if self.has(InitFlags::NO_OPENDIR_SUPPORT) => {
                self.directory_once(inode, 0).map(Arc::new)
            }
            result => result,
        }
    }

    fn directory_once(&self, inode: Inode, flags: u32) -> Result<Open> {
        let node = self.directory(inode)?;
        let permit = self.permit()?;
        let fd = self.open_node(&node, self.host_directory_flags(flags))?;
        let what = What::Directory(Mutex::new(Cursor::default()));
        Ok(Open { inode, descriptor: Descriptor::new(fd, permit), what })
    }

    /// Some file systems tell errors of writing when a descriptor is closed.
    pub(super) fn flush_file(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        owner: LockOwner,
    ) -> Result<()> {
        let open = match self.file_of(inode, handle) {
            Err(_) if self.has(InitFlags::NO_OPEN_SUPPORT) => return Ok(()),
            result => result?,
        };
        let file = open.file()?;
        let tells = file.written.load(Ordering::Relaxed)
            && self.mounts.nature(file.device, open.as_fd()).tells_at_close;
        if tells && !context.may_wait {
            return Err(Failure::WouldWait);
        }
        if self.options.posix_lock {
            self.locks.end_of(inode, owner, false);
        }
        if tells {
            file.written.store(false, Ordering::Relaxed);
            close(duplicate(open.as_fd())?)?;
        }
        Ok(())
    }

    pub(super) fn release_file(
        &self,
        inode: Inode,
        handle: Handle,
        release: Release,
    ) -> Result<()> {
        if release.flush {
            self.locks.end_of(inode, release.owner, false);
        }
        if release.unlock {
            self.locks.end_of(inode, release.owner, true);
        }
        self.handles.remove(inode, handle).map(drop)
    }

    pub(super) fn lock(&self, inode: Inode, handle: Handle, request: &LockRequest) -> Result<()> {
        let writes = self.handles.get(inode, handle)?.writes();
        self.locks_are_on(request)?;
        self.locks.set(inode, request, writes, || self.open_to_lock(inode, writes))
    }

    pub(super) fn find_lock(
        &self,
        inode: Inode,
        handle: Handle,
        request: &LockRequest,
    ) -> Result<Lock> {
        self.handles.get(inode, handle)?;
        self.locks_are_on(request)?;
        self.locks.get(inode, request, || self.open_to_lock(inode, false))
    }

    fn locks_are_on(&self, request: &LockRequest) -> Result<()> {
        let on = if request.whole { self.options.flock } else { self.options.posix_lock };
        if on { Ok(()) } else { Err(Failure::ENOSYS) }
    }

    /// A descriptor for one owner of locks. Only who writes anyway has a file open to be written: of one
    /// that is, the host can run no program.
    fn open_to_lock(&self, inode: Inode, writes: bool) -> Result<Descriptor> {
        let node = self.node(inode)?;
        let permit = self.permit()?;
        // Directories can be locked as a whole.
        let ways: &[c_int] = match (node.is_regular(), writes) {
            (true, true) => &[libc::O_RDWR, libc::O_WRONLY, libc::O_RDONLY],
            (true, false) => &[libc::O_RDONLY, libc::O_WRONLY],
            (false, _) => &[libc::O_RDONLY],
        };
        let mut result = Err(Failure::EACCES);
        for flags in ways {
            result = self.open_node(&node, *flags);
            if result.is_ok() {
                break;
            }
        }
        Ok(Descriptor::new(result?, permit))
    }
}

fn open_file(node: &Node, fd: OwnedFd, permit: Permit, flags: c_int) -> Open {
    let file = File {
        appends: flags & libc::O_APPEND != 0,
        waits: flags & WAITS != 0,
        writes: flags & libc::O_ACCMODE != libc::O_RDONLY,
        device: node.ids.device,
        ..File::default()
    };
    let descriptor = Descriptor::new(fd, permit);
    Open { inode: node.number, descriptor, what: What::File(file) }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The operations, and which of them change something.

use std::ffi::CStr;
use std::io;

use super::Passthrough;
use crate::filesystem::{
    Attributes, Context, Creation, Directory, Entry, Failure, FileSystem, Handle, InitFlags, Inode,
    Lock, LockOwner, LockRequest, Looked, LookupName, Name, Opened, Opening, Release, Result,
    SetAttr, Statfs, Writing, Xattr,
};
use crate::transport::{Sink, Source};

impl Passthrough {
    /// To be asked before anything is changed.
    fn writable(&self) -> Result<()> {
        if self.options.read_only { Err(Failure::EROFS) } else { Ok(()) }
    }
}

impl FileSystem for Passthrough {
    fn begin(&self, offered: InitFlags) -> Result<InitFlags> {
        self.agree(offered)
    }

    fn end(&self) {
        self.give_up_all();
    }

    fn prepare_thread(&self) -> io::Result<()> {
        self.make_thread_ready()
    }

    fn lookup(&self, _context: &Context, parent: Inode, name: LookupName<'_>) -> Result<Looked> {
        self.look_up(parent, name)
    }

    fn forget(&self, inode: Inode, count: u64) {
        let locks = self.options.posix_lock || self.options.flock;
        if self.table.forget(inode, count) && locks {
            self.locks.end_in(inode);
        }
    }

    fn attributes(
        &self,
        _context: &Context,
        inode: Inode,
        handle: Option<Handle>,
    ) -> Result<Attributes> {
        self.attributes_of(inode, handle)
    }

    fn set_attributes(
        &self,
        _context: &Context,
        inode: Inode,
        handle: Option<Handle>,
        changes: &SetAttr,
    ) -> Result<Attributes> {
        self.writable()?;
        self.change_attributes(inode, handle, changes)
    }

    fn read_link(&self, _context: &Context, inode: Inode) -> Result<Vec<u8>> {
        self.target_of(inode)
    }

    fn make_symlink(
        &self,
        context: &Context,
        parent: Inode,
        name: Name<'_>,
        target: &CStr,
        creation: &Creation<'_>,
    ) -> Result<Entry> {
        self.writable()?;
        self.make_link_to(context, parent, name, target, creation)
    }

    fn make_node(
        &self,
        context: &Context,
        parent: Inode,
        name: Name<'_>,
        device: u32,
        creation: &Creation<'_>,
    ) -> Result<Entry> {
        self.writable()?;
        self.make_special(context, parent, name, device, creation)
    }

    fn make_directory(
        &self,
        context: &Context,
        parent: Inode,
        name: Name<'_>,
        creation: &Creation<'_>,
    ) -> Result<Entry> {
        self.writable()?;
        self.make_dir(context, parent, name, creation)
    }

    fn unlink(&self, _context: &Context, parent: Inode, name: Name<'_>) -> Result<()> {
        self.writable()?;
        self.remove_name(parent, name, 0)
    }

    fn remove_directory(&self, _context: &Context, parent: Inode, name: Name<'_>) -> Result<()> {
        self.writable()?;
        self.remove_name(parent, name, libc::AT_REMOVEDIR)
    }

    fn rename(
        &self,
        _context: &Context,
        from: (Inode, Name<'_>),
        to: (Inode, Name<'_>),
        flags: u32,
    ) -> Result<()> {
        self.writable()?;
        self.move_name(from, to, flags)
    }

    fn link(
        &self,
        _context: &Context,
        inode: Inode,
        parent: Inode,
        name: Name<'_>,
    ) -> Result<Entry> {
        self.writable()?;
        self.add_name(inode, parent, name)
    }

    fn open(&self, _context: &Context, inode: Inode, opening: Opening) -> Result<Opened> {
        self.open_file(inode, opening)
    }

    fn create(
        &self,
        context: &Context,
        parent: Inode,
        name: Name<'_>,
        opening: Opening,
        creation: &Creation<'_>,
    ) -> Result<(Entry, Opened)> {
        self.writable()?;
        self.create_file(context, parent, name, opening, creation)
    }

    fn create_unnamed(
        &self,
        context: &Context,
        parent: Inode,
        opening: Opening,
        creation: &Creation<'_>,
    ) -> Result<(Entry, Opened)> {
        self.writable()?;
        self.create_nameless(context, parent, opening, creation)
    }

    fn read(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        sink: &Sink<'_>,
    ) -> Result<usize> {
        self.read_file(context, inode, handle, offset, sink)
    }

    fn write(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        source: &Source<'_>,
        writing: Writing,
    ) -> Result<usize> {
        self.writable()?;
        self.write_file(context, (inode, handle, offset), source, writing)
    }

    fn flush(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        owner: LockOwner,
    ) -> Result<()> {
        self.flush_file(context, inode, handle, owner)
    }

    fn release(
        &self,
        _context: &Context,
        inode: Inode,
        handle: Handle,
        release: Release,
    ) -> Result<()> {
        self.release_file(inode, handle, release)
    }

    fn sync(&self, context: &Context, inode: Inode, handle: Handle, data_only: bool) -> Result<()> {
        self.sync_file(context, inode, handle, data_only)
    }

    fn open_directory(&self, _context: &Context, inode: Inode, flags: u32) -> Result<Opened> {
        self.open_directory_of(inode, flags)
    }

    fn read_directory(
        &self,
        _context: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        entries: &mut dyn Directory,
    ) -> Result<()> {
        self.list(inode, handle, offset, entries)
    }

    fn release_directory(&self, _context: &Context, inode: Inode, handle: Handle) -> Result<()> {
        self.handles.remove(inode, handle).map(drop)
    }

    fn sync_directory(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        data_only: bool,
    ) -> Result<()> {
        self.sync_file(context, inode, handle, data_only)
    }

    fn statfs(&self, _context: &Context, inode: Inode) -> Result<Statfs> {
        self.statfs_of(inode)
    }

    fn set_xattr(
        &self,
        context: &Context,
        inode: Inode,
        name: &CStr,
        value: &[u8],
        flags: u32,
        kill_sgid: bool,
    ) -> Result<()> {
        self.writable()?;
        self.write_xattr(context, inode, name, value, flags, kill_sgid)
    }

    fn get_xattr(&self, _context: &Context, inode: Inode, name: &CStr, size: u32) -> Result<Xattr> {
        self.read_xattr(inode, name, size)
    }

    fn list_xattrs(&self, _context: &Context, inode: Inode, size: u32) -> Result<Xattr> {
        self.list_names(inode, size)
    }

    fn remove_xattr(&self, _context: &Context, inode: Inode, name: &CStr) -> Result<()> {
        self.writable()?;
        self.delete_xattr(inode, name)
    }

    fn access(&self, context: &Context, inode: Inode, mask: u32) -> Result<()> {
        self.may_access(context, inode, mask)
    }

    fn get_lock(
        &self,
        _context: &Context,
        inode: Inode,
        handle: Handle,
        request: &LockRequest,
    ) -> Result<Lock> {
        self.find_lock(inode, handle, request)
    }

    fn set_lock(
        &self,
        _context: &Context,
        inode: Inode,
        handle: Handle,
        request: &LockRequest,
    ) -> Result<()> {
        self.lock(inode, handle, request)
    }

    fn allocate(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        mode: u32,
        offset: u64,
        len: u64,
    ) -> Result<()> {
        self.writable()?;
        self.reserve(context, (inode, handle), mode, offset, len)
    }

    fn seek(
        &self,
        _context: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        whence: u32,
    ) -> Result<u64> {
        self.find_data(inode, handle, offset, whence)
    }

    fn copy_range(
        &self,
        context: &Context,
        from: (Inode, Handle, u64),
        to: (Inode, Handle, u64),
        len: u64,
        flags: u64,
    ) -> Result<u64> {
        self.writable()?;
        self.copy(context, from, to, len, flags)
    }

    fn sync_all(&self, context: &Context, inode: Inode) -> Result<()> {
        self.sync_file_system(context, inode)
    }

    fn ioctl(
        &self,
        _context: &Context,
        inode: Inode,
        handle: Handle,
        command: u32,
        input: &[u8],
        room: usize,
    ) -> Result<Vec<u8>> {
        self.control(inode, handle, command, input, room)
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a file system supplies to the [`Server`](crate::Server): one function for each thing that a
//! client can ask for.
//!
//! Names, handles and numbers come from a guest that may be hostile. What the types promise has been
//! checked ([`Name`] is one component of a path); the rest is the file system's to check: an inode or
//! a handle may be one that never was.

mod attr;
mod call;
mod directory;
mod failure;
mod flags;
mod lock;
mod name;

use std::ffi::CStr;

pub use attr::{Attr, Attributes, Entry, Looked, NewTime, SetAttr, Statfs, Time};
pub use call::{Caller, Context, Creation, Opening, Release, SecurityContext, Writing};
pub use directory::{Directory, DirectoryEntry, Plus};
pub use failure::{Failure, Result};
pub use flags::{InitFlags, OpenFlags};
pub use lock::{Lock, LockKind, LockOwner, LockRequest};
pub use name::{LookupName, Name, NameError};

use crate::transport::{Sink, Source};

/// The client's number of an inode (`nodeid`): 1 is the root, 0 none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Inode(pub u64);

impl Inode {
    /// The root of the file system (`FUSE_ROOT_ID`). It is known without a lookup.
    pub const ROOT: Self = Self(1);
}

/// The client's number of an open file or directory (`fh`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(pub u64);

/// A file that was opened, for the answer to OPEN, OPENDIR, CREATE and TMPFILE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What the client calls it from now on.
    pub handle: Handle,
    /// What the client may do with it (`FOPEN_...`).
    pub flags: OpenFlags,
}

/// The value of an extended attribute, or the list of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Xattr {
    /// The bytes: not more than were asked for.
    Value(Vec<u8>),
    /// How many there are: the client asked for none.
    Size(u32),
}

/// A file system, shared by all threads that serve requests.
///
/// Each function answers one FUSE operation and may be called on any thread, at the same time as any
/// other. With [`Context::may_wait`] false it must not wait for storage: what would wait returns
/// [`Failure::WouldWait`] without having done anything, and is called again on another thread that
/// may. What is not implemented answers ENOSYS, which has the client never ask again.
///
/// The numbers of inodes and handles hold from the answer that brought them to FORGET and RELEASE, or to
/// [`FileSystem::end`].
#[expect(unused_variables, reason = "the functions that answer ENOSYS")]
pub trait FileSystem: Send + Sync + 'static {
    /// Begins a session (INIT): which of the `offered` flags shall be in use. Those that need no
    /// word of the file system's are added by the server.
    ///
    /// # Errors
    /// The client lacks something that must be. It gets the error, and there is no session.
    fn begin(&self, offered: InitFlags) -> Result<InitFlags>;

    /// Ends the session (DESTROY, a second INIT, a reset, the end of the connection): no inode but the
    /// root and no handle is known afterwards, no lock is held. May come without [`FileSystem::begin`],
    /// and more than once.
    fn end(&self);

    /// Makes a thread ready for requests; called once on each, before its first one.
    ///
    /// # Errors
    /// The system refuses what requests will need.
    fn prepare_thread(&self) -> std::io::Result<()> {
        Ok(())
    }

    /// LOOKUP: finds `name` in a directory. What is found has one reference more afterwards.
    fn lookup(&self, context: &Context, parent: Inode, name: LookupName<'_>) -> Result<Looked>;

    /// FORGET, BATCH_FORGET: takes `count` references from an inode. Never waits.
    fn forget(&self, inode: Inode, count: u64);

    /// GETATTR, STATX: the attributes of an inode, by an open file if there is one.
    fn attributes(
        &self,
        context: &Context,
        inode: Inode,
        handle: Option<Handle>,
    ) -> Result<Attributes>;

    /// SETATTR: changes attributes, and returns them as they are then.
    fn set_attributes(
        &self,
        context: &Context,
        inode: Inode,
        handle: Option<Handle>,
        changes: &SetAttr,
    ) -> Result<Attributes> {
        Err(Failure::ENOSYS)
    }

    /// READLINK: the target of a symbolic link.
    fn read_link(&self, context: &Context, inode: Inode) -> Result<Vec<u8>> {
        Err(Failure::ENOSYS)
    }

    /// SYMLINK: makes a symbolic link to `target`, which may be any text of 1 to 4095 bytes.
    fn make_symlink(
        &self,
        context: &Context,
        parent: Inode,
        name: Name<'_>,
        target: &CStr,
        creation: &Creation<'_>,
    ) -> Result<Entry> {
        Err(Failure::ENOSYS)
    }

    /// MKNOD: makes a file, a device, a FIFO or a socket.
    fn make_node(
        &self,
        context: &Context,
        parent: Inode,
        name: Name<'_>,
        device: u32,
        creation: &Creation<'_>,
    ) -> Result<Entry> {
        Err(Failure::ENOSYS)
    }

    /// MKDIR: makes a directory.
    fn make_directory(
        &self,
        context: &Context,
        parent: Inode,
        name: Name<'_>,
        creation: &Creation<'_>,
    ) -> Result<Entry> {
        Err(Failure::ENOSYS)
    }

    /// UNLINK: removes a name that is no directory.
    fn unlink(&self, context: &Context, parent: Inode, name: Name<'_>) -> Result<()> {
        Err(Failure::ENOSYS)
    }

    /// RMDIR: removes an empty directory.
    fn remove_directory(&self, context: &Context, parent: Inode, name: Name<'_>) -> Result<()> {
        Err(Failure::ENOSYS)
    }

    /// RENAME, RENAME2: moves `from.1` in the directory `from.0` to `to`; `flags` are those of
    /// renameat2(2).
    fn rename(
        &self,
        context: &Context,
        from: (Inode, Name<'_>),
        to: (Inode, Name<'_>),
        flags: u32,
    ) -> Result<()> {
        Err(Failure::ENOSYS)
    }

    /// LINK: gives an inode one name more.
    fn link(
        &self,
        context: &Context,
        inode: Inode,
        parent: Inode,
        name: Name<'_>,
    ) -> Result<Entry> {
        Err(Failure::ENOSYS)
    }

    /// OPEN: opens a regular file.
    fn open(&self, context: &Context, inode: Inode, opening: Opening) -> Result<Opened> {
        Err(Failure::ENOSYS)
    }

    /// CREATE: makes a regular file, or finds one, and opens it.
    fn create(
        &self,
        context: &Context,
        parent: Inode,
        name: Name<'_>,
        opening: Opening,
        creation: &Creation<'_>,
    ) -> Result<(Entry, Opened)> {
        Err(Failure::ENOSYS)
    }

    /// TMPFILE: makes a regular file without a name, in the file system of a directory, and opens it.
    fn create_unnamed(
        &self,
        context: &Context,
        parent: Inode,
        opening: Opening,
        creation: &Creation<'_>,
    ) -> Result<(Entry, Opened)> {
        Err(Failure::ENOSYS)
    }

    /// READ: bytes of the file from `offset` on go into `sink`, as many as it takes or as there are.
    /// Returns how many.
    fn read(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        sink: &Sink<'_>,
    ) -> Result<usize> {
        Err(Failure::ENOSYS)
    }

    /// WRITE: the bytes of `source` go into the file at `offset`. Returns how many did.
    fn write(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        source: &Source<'_>,
        writing: Writing,
    ) -> Result<usize> {
        Err(Failure::ENOSYS)
    }

    /// FLUSH: a descriptor of the client's for an open file is closed. Record locks of `owner` end.
    fn flush(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        owner: LockOwner,
    ) -> Result<()> {
        Err(Failure::ENOSYS)
    }

    /// RELEASE: the last use of an open file has ended. The handle is no more, whatever is returned.
    fn release(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        release: Release,
    ) -> Result<()> {
        Err(Failure::ENOSYS)
    }

    /// FSYNC: puts data, and attributes unless `data_only`, on stable storage.
    fn sync(&self, context: &Context, inode: Inode, handle: Handle, data_only: bool) -> Result<()> {
        Err(Failure::ENOSYS)
    }

    /// OPENDIR: opens a directory.
    fn open_directory(&self, context: &Context, inode: Inode, flags: u32) -> Result<Opened> {
        Err(Failure::ENOSYS)
    }

    /// READDIR, READDIRPLUS: adds the entries behind the position `offset` (0: from the start) to
    /// `entries` until it is full.
    ///
    /// # Errors
    /// Only if none was added.
    fn read_directory(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        entries: &mut dyn Directory,
    ) -> Result<()> {
        Err(Failure::ENOSYS)
    }

    /// RELEASEDIR: as [`FileSystem::release`].
    fn release_directory(&self, context: &Context, inode: Inode, handle: Handle) -> Result<()> {
        Err(Failure::ENOSYS)
    }

    /// FSYNCDIR: as [`FileSystem::sync`].
    fn sync_directory(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        data_only: bool,
    ) -> Result<()> {
        Err(Failure::ENOSYS)
    }

    /// STATFS.
    fn statfs(&self, context: &Context, inode: Inode) -> Result<Statfs> {
        Err(Failure::ENOSYS)
    }

    /// SETXATTR: `flags` are those of setxattr(2). With `kill_sgid` the set-group-id bit goes
    /// (`FUSE_SETXATTR_ACL_KILL_SGID`).
    fn set_xattr(
        &self,
        context: &Context,
        inode: Inode,
        name: &CStr,
        value: &[u8],
        flags: u32,
        kill_sgid: bool,
    ) -> Result<()> {
        Err(Failure::ENOSYS)
    }

    /// GETXATTR: the value of an attribute of at most `size` bytes, or, if `size` is 0, how many it has.
    fn get_xattr(&self, context: &Context, inode: Inode, name: &CStr, size: u32) -> Result<Xattr> {
        Err(Failure::ENOSYS)
    }

    /// LISTXATTR: the names, each with a NUL behind it; see [`FileSystem::get_xattr`].
    fn list_xattrs(&self, context: &Context, inode: Inode, size: u32) -> Result<Xattr> {
        Err(Failure::ENOSYS)
    }

    /// REMOVEXATTR.
    fn remove_xattr(&self, context: &Context, inode: Inode, name: &CStr) -> Result<()> {
        Err(Failure::ENOSYS)
    }

    /// ACCESS: whether the caller may do what the bits of `mask` say (access(2)).
    fn access(&self, context: &Context, inode: Inode, mask: u32) -> Result<()> {
        Err(Failure::ENOSYS)
    }

    /// GETLK: a lock that stands in the way of this one, or one of kind
    /// [`Unlocked`](LockKind::Unlocked).
    fn get_lock(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        request: &LockRequest,
    ) -> Result<Lock> {
        Err(Failure::ENOSYS)
    }

    /// SETLK, SETLKW, flock: takes, changes or gives up a lock. Never waits for one: EAGAIN says that
    /// another one stands in the way, and the server tries again if the client waits.
    fn set_lock(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        request: &LockRequest,
    ) -> Result<()> {
        Err(Failure::ENOSYS)
    }

    /// FALLOCATE: `mode` is that of fallocate(2).
    fn allocate(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        mode: u32,
        offset: u64,
        len: u64,
    ) -> Result<()> {
        Err(Failure::ENOSYS)
    }

    /// LSEEK: the next data or hole from `offset` on (`SEEK_DATA`, `SEEK_HOLE`).
    fn seek(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        whence: u32,
    ) -> Result<u64> {
        Err(Failure::ENOSYS)
    }

    /// COPY_FILE_RANGE, COPY_FILE_RANGE_64: copies at most `len` bytes between open files, each an inode, a
    /// handle and an offset. Returns how many.
    fn copy_range(
        &self,
        context: &Context,
        from: (Inode, Handle, u64),
        to: (Inode, Handle, u64),
        len: u64,
        flags: u64,
    ) -> Result<u64> {
        Err(Failure::ENOSYS)
    }

    /// SYNCFS: puts the whole file system on stable storage.
    fn sync_all(&self, context: &Context, inode: Inode) -> Result<()> {
        Err(Failure::ENOSYS)
    }

    /// IOCTL, restricted: of the known ones, with `input` as the argument's value. Returns what the
    /// argument is afterwards, at most `room` bytes.
    fn ioctl(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        command: u32,
        input: &[u8],
        room: usize,
    ) -> Result<Vec<u8>> {
        Err(Failure::ENOSYS)
    }
}

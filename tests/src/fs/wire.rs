// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The structures of FUSE as they are in a request and its reply, as `include/uapi/linux/fuse.h` has
//! them: little-endian here, since this machine and its daemons are.

/// The node of the shared folder itself.
pub const ROOT: u64 = 1;

/// The length of `fuse_in_header`.
pub const IN_HEADER: usize = 40;
/// The length of `fuse_out_header`.
pub const OUT_HEADER: usize = 16;
/// The length of `fuse_attr`.
pub const ATTR: usize = 88;
/// The length of `fuse_entry_out`.
pub const ENTRY: usize = 128;
/// The length of `fuse_init_in`, and of `fuse_init_out`.
pub const INIT: usize = 64;

/// The version of the protocol that is spoken here.
pub const MAJOR: u32 = 7;
/// The minor version of the protocol that is spoken here.
pub const MINOR: u32 = 45;

/// What a request asks for.
#[expect(missing_docs, reason = "they are the names of the header")]
pub mod opcode {
    pub const LOOKUP: u32 = 1;
    pub const FORGET: u32 = 2;
    pub const GETATTR: u32 = 3;
    pub const SETATTR: u32 = 4;
    pub const READLINK: u32 = 5;
    pub const SYMLINK: u32 = 6;
    pub const MKNOD: u32 = 8;
    pub const MKDIR: u32 = 9;
    pub const UNLINK: u32 = 10;
    pub const RMDIR: u32 = 11;
    pub const RENAME: u32 = 12;
    pub const LINK: u32 = 13;
    pub const OPEN: u32 = 14;
    pub const READ: u32 = 15;
    pub const WRITE: u32 = 16;
    pub const STATFS: u32 = 17;
    pub const RELEASE: u32 = 18;
    pub const FSYNC: u32 = 20;
    pub const SETXATTR: u32 = 21;
    pub const GETXATTR: u32 = 22;
    pub const LISTXATTR: u32 = 23;
    pub const REMOVEXATTR: u32 = 24;
    pub const FLUSH: u32 = 25;
    pub const INIT: u32 = 26;
    pub const OPENDIR: u32 = 27;
    pub const READDIR: u32 = 28;
    pub const RELEASEDIR: u32 = 29;
    pub const FSYNCDIR: u32 = 30;
    pub const GETLK: u32 = 31;
    pub const SETLK: u32 = 32;
    pub const SETLKW: u32 = 33;
    pub const ACCESS: u32 = 34;
    pub const CREATE: u32 = 35;
    pub const INTERRUPT: u32 = 36;
    pub const BMAP: u32 = 37;
    pub const DESTROY: u32 = 38;
    pub const IOCTL: u32 = 39;
    pub const POLL: u32 = 40;
    pub const NOTIFY_REPLY: u32 = 41;
    pub const BATCH_FORGET: u32 = 42;
    pub const FALLOCATE: u32 = 43;
    pub const READDIRPLUS: u32 = 44;
    pub const RENAME2: u32 = 45;
    pub const LSEEK: u32 = 46;
    pub const COPY_FILE_RANGE: u32 = 47;
    pub const SETUPMAPPING: u32 = 48;
    pub const REMOVEMAPPING: u32 = 49;
    pub const SYNCFS: u32 = 50;
    pub const TMPFILE: u32 = 51;
    pub const STATX: u32 = 52;
    pub const COPY_FILE_RANGE_64: u32 = 53;
}

/// What INIT agrees on, as bits of both flag words together.
#[expect(missing_docs, reason = "they are the names of the header")]
pub mod init {
    pub const ASYNC_READ: u64 = 1 << 0;
    pub const POSIX_LOCKS: u64 = 1 << 1;
    pub const ATOMIC_O_TRUNC: u64 = 1 << 3;
    pub const EXPORT_SUPPORT: u64 = 1 << 4;
    pub const BIG_WRITES: u64 = 1 << 5;
    pub const DONT_MASK: u64 = 1 << 6;
    pub const SPLICE_WRITE: u64 = 1 << 7;
    pub const SPLICE_MOVE: u64 = 1 << 8;
    pub const SPLICE_READ: u64 = 1 << 9;
    pub const FLOCK_LOCKS: u64 = 1 << 10;
    pub const HAS_IOCTL_DIR: u64 = 1 << 11;
    pub const AUTO_INVAL_DATA: u64 = 1 << 12;
    pub const DO_READDIRPLUS: u64 = 1 << 13;
    pub const READDIRPLUS_AUTO: u64 = 1 << 14;
    pub const ASYNC_DIO: u64 = 1 << 15;
    pub const WRITEBACK_CACHE: u64 = 1 << 16;
    pub const NO_OPEN_SUPPORT: u64 = 1 << 17;
    pub const PARALLEL_DIROPS: u64 = 1 << 18;
    pub const HANDLE_KILLPRIV: u64 = 1 << 19;
    pub const POSIX_ACL: u64 = 1 << 20;
    pub const ABORT_ERROR: u64 = 1 << 21;
    pub const MAX_PAGES: u64 = 1 << 22;
    pub const CACHE_SYMLINKS: u64 = 1 << 23;
    pub const NO_OPENDIR_SUPPORT: u64 = 1 << 24;
    pub const EXPLICIT_INVAL_DATA: u64 = 1 << 25;
    pub const MAP_ALIGNMENT: u64 = 1 << 26;
    pub const SUBMOUNTS: u64 = 1 << 27;
    pub const HANDLE_KILLPRIV_V2: u64 = 1 << 28;
    pub const SETXATTR_EXT: u64 = 1 << 29;
    pub const INIT_EXT: u64 = 1 << 30;
    pub const SECURITY_CTX: u64 = 1 << 32;
    pub const HAS_INODE_DAX: u64 = 1 << 33;
    pub const CREATE_SUPP_GROUP: u64 = 1 << 34;
    pub const HAS_EXPIRE_ONLY: u64 = 1 << 35;
    pub const DIRECT_IO_ALLOW_MMAP: u64 = 1 << 36;
    pub const PASSTHROUGH: u64 = 1 << 37;
    pub const NO_EXPORT_SUPPORT: u64 = 1 << 38;
    pub const HAS_RESEND: u64 = 1 << 39;
    pub const ALLOW_IDMAP: u64 = 1 << 40;
    pub const OVER_IO_URING: u64 = 1 << 41;
    pub const REQUEST_TIMEOUT: u64 = 1 << 42;
}

/// FUSE_GETATTR_FH: GETATTR is of the file that is open.
pub const GETATTR_FH: u32 = 1;
/// FUSE_LK_FLOCK: the lock is flock(2)'s.
pub const LK_FLOCK: u32 = 1;
/// FUSE_RELEASE_FLUSH: RELEASE is a FLUSH, too.
pub const RELEASE_FLUSH: u32 = 1;
/// FUSE_RELEASE_FLOCK_UNLOCK: RELEASE gives a lock of flock(2) up, too.
pub const RELEASE_FLOCK_UNLOCK: u32 = 2;

/// Which fields of SETATTR count.
#[expect(missing_docs, reason = "they are the names of the header")]
pub mod setattr {
    pub const MODE: u32 = 1 << 0;
    pub const UID: u32 = 1 << 1;
    pub const GID: u32 = 1 << 2;
    pub const SIZE: u32 = 1 << 3;
    pub const ATIME: u32 = 1 << 4;
    pub const MTIME: u32 = 1 << 5;
    pub const FH: u32 = 1 << 6;
    pub const ATIME_NOW: u32 = 1 << 7;
    pub const MTIME_NOW: u32 = 1 << 8;
    pub const LOCKOWNER: u32 = 1 << 9;
    pub const CTIME: u32 = 1 << 10;
    pub const KILL_SUIDGID: u32 = 1 << 11;
}

/// Fields one after the other, as a request has them behind its header.
#[derive(Clone, Debug, Default)]
pub struct Body(Vec<u8>);

impl Body {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fields of 16 bits.
    pub fn u16s(mut self, values: &[u16]) -> Self {
        values.iter().for_each(|value| self.0.extend(value.to_le_bytes()));
        self
    }

    /// Fields of 32 bits.
    pub fn u32s(mut self, values: &[u32]) -> Self {
        values.iter().for_each(|value| self.0.extend(value.to_le_bytes()));
        self
    }

    /// Fields of 64 bits.
    pub fn u64s(mut self, values: &[u64]) -> Self {
        values.iter().for_each(|value| self.0.extend(value.to_le_bytes()));
        self
    }

    /// Bytes as they are.
    pub fn bytes(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend(bytes.as_ref());
        self
    }

    /// A name or a path, with the NUL behind it.
    pub fn name(self, name: impl AsRef<[u8]>) -> Self {
        self.bytes(name).bytes([0])
    }

    /// All of it.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// `fuse_in_header`: what comes first in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The length of the request with this header.
    pub len: u32,
    /// One of [`opcode`].
    pub opcode: u32,
    /// The number of the request, which its reply gives back.
    pub unique: u64,
    /// What it is about.
    pub node: u64,
    /// The user who asks.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its process.
    pub pid: u32,
    /// How long the extensions behind the body are, in units of 8 bytes.
    pub extensions: u16,
}

impl Header {
    /// It, as it is in a request.
    pub fn bytes(self) -> Vec<u8> {
        let body = Body::new().u32s(&[self.len, self.opcode]).u64s(&[self.unique, self.node]);
        body.u32s(&[self.uid, self.gid, self.pid]).u16s(&[self.extensions, 0]).finish()
    }

    /// The one at the beginning of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut fields = Fields::of(bytes);
        let [len, opcode] = [fields.u32(), fields.u32()];
        let [unique, node] = [fields.u64(), fields.u64()];
        let [uid, gid, pid] = [fields.u32(), fields.u32(), fields.u32()];
        Self { len, opcode, unique, node, uid, gid, pid, extensions: fields.u16() }
    }
}

/// What is left of a reply, to be read from its beginning.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// All of `bytes`.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `len` bytes.
    ///
    /// # Panics
    /// When there are not so many.
    #[track_caller]
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let Some((taken, rest)) = self.0.split_at_checked(len) else {
            panic!("{len} bytes more in a reply that has {} left", self.0.len());
        };
        self.0 = rest;
        taken
    }

    #[track_caller]
    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().expect("as many bytes as were taken")
    }

    /// The next field of 16 bits.
    #[track_caller]
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    /// The next field of 32 bits.
    #[track_caller]
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    /// The next field of 64 bits.
    #[track_caller]
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// All that is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Whether nothing is left.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

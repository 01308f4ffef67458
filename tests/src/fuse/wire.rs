// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the kernel asks a FUSE file system, and how it is answered (Linux: fuse.h, version 7).

/// The length of the header that begins every request, in bytes.
pub(super) const IN_HEADER: usize = 40;

/// The longest data of one write, in bytes: 256 pages.
pub(super) const MAX_WRITE: u32 = 1 << 20;

/// A buffer that every request fits in, in bytes.
pub(super) const LONGEST: usize = (1 << 20) + 4096;

/// FUSE_POSIX_LOCKS: locks are asked for here, too.
pub(super) const POSIX_LOCKS: u32 = 1 << 1;
/// FUSE_WRITEBACK_CACHE: what is written stays in the kernel's page cache for a while.
pub(super) const WRITEBACK_CACHE: u32 = 1 << 16;
/// FUSE_ASYNC_READ, FUSE_BIG_WRITES, FUSE_ASYNC_DIO, FUSE_MAX_PAGES.
const USUAL: u32 = 1 | 1 << 5 | 1 << 15 | 1 << 22;

/// FOPEN_DIRECT_IO and FOPEN_PARALLEL_DIRECT_WRITES: past the page cache, several at a time.
pub(super) const PAST_THE_CACHE: u32 = 1 | 1 << 6;

/// FATTR_SIZE: SETATTR gives the file another length.
const ATTR_SIZE: u32 = 1 << 3;

/// The number of a request's kind.
pub(super) mod opcode {
    pub(in super::super) const FORGET: u32 = 2;
    pub(in super::super) const GETATTR: u32 = 3;
    pub(in super::super) const SETATTR: u32 = 4;
    pub(in super::super) const OPEN: u32 = 14;
    pub(in super::super) const READ: u32 = 15;
    pub(in super::super) const WRITE: u32 = 16;
    pub(in super::super) const STATFS: u32 = 17;
    pub(in super::super) const RELEASE: u32 = 18;
    pub(in super::super) const FSYNC: u32 = 20;
    pub(in super::super) const FLUSH: u32 = 25;
    pub(in super::super) const INIT: u32 = 26;
    pub(in super::super) const GETLK: u32 = 31;
    pub(in super::super) const SETLK: u32 = 32;
    pub(in super::super) const SETLKW: u32 = 33;
    pub(in super::super) const INTERRUPT: u32 = 36;
    pub(in super::super) const BATCH_FORGET: u32 = 42;
    pub(in super::super) const FALLOCATE: u32 = 43;
}

/// What the kernel asks of the one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// OPEN, with the flags of open(2).
    Open {
        /// O_RDWR, O_DIRECT and the like.
        flags: i32,
    },
    /// READ.
    Read {
        /// From there, in bytes.
        offset: u64,
        /// So many bytes.
        len: u32,
    },
    /// WRITE.
    Write {
        /// There, in bytes.
        offset: u64,
        /// So many bytes.
        len: u32,
        /// It is to be on stable storage when it is answered: O_DSYNC, or RWF_DSYNC.
        durable: bool,
    },
    /// FSYNC: fsync(2) and fdatasync(2).
    Fsync,
    /// FALLOCATE.
    Fallocate {
        /// FALLOC_FL_KEEP_SIZE and the like.
        mode: i32,
        /// From there, in bytes.
        offset: u64,
        /// So many bytes.
        len: u64,
    },
    /// GETLK, SETLK or SETLKW: a lock, which is asked for here only if the file is so.
    Lock,
    /// Any other, by its number.
    Other(u32),
}

/// The kinds of [`Call`] that a test has a word about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// [`Call::Open`].
    Open,
    /// [`Call::Read`].
    Read,
    /// [`Call::Write`].
    Write,
    /// [`Call::Fsync`].
    Fsync,
    /// [`Call::Fallocate`].
    Fallocate,
    /// [`Call::Lock`].
    Lock,
}

impl Call {
    /// What kind it is of.
    pub fn op(self) -> Option<Op> {
        match self {
            Self::Open { .. } => Some(Op::Open),
            Self::Read { .. } => Some(Op::Read),
            Self::Write { .. } => Some(Op::Write),
            Self::Fsync => Some(Op::Fsync),
            Self::Fallocate { .. } => Some(Op::Fallocate),
            Self::Lock => Some(Op::Lock),
            Self::Other(_) => None,
        }
    }
}

/// A request as it came.
#[derive(Debug)]
pub(super) struct Request {
    /// By which its answer is known.
    pub(super) unique: u64,
    /// The number of its kind.
    pub(super) opcode: u32,
    /// What is asked for.
    pub(super) call: Call,
    body: Vec<u8>,
}

impl Request {
    /// The request that `bytes` are.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let opcode = word(bytes, 4);
        let body = &bytes[IN_HEADER..];
        let call = match opcode {
            opcode::OPEN => Call::Open { flags: signed(body, 0) },
            opcode::READ => Call::Read { offset: long(body, 8), len: word(body, 16) },
            opcode::WRITE => Call::Write {
                offset: long(body, 8),
                len: word(body, 16),
                durable: signed(body, 32) & libc::O_DSYNC != 0,
            },
            opcode::FSYNC => Call::Fsync,
            opcode::FALLOCATE => Call::Fallocate {
                mode: signed(body, 24),
                offset: long(body, 8),
                len: long(body, 16),
            },
            opcode::GETLK | opcode::SETLK | opcode::SETLKW => Call::Lock,
            _ => Call::Other(opcode),
        };
        Self { unique: long(bytes, 8), opcode, call, body: body.to_vec() }
    }

    /// The data of a WRITE.
    pub(super) fn data(&self) -> &[u8] {
        &self.body[40..]
    }

    /// The length that a SETATTR gives the file, if it does.
    pub(super) fn new_len(&self) -> Option<u64> {
        (word(&self.body, 0) & ATTR_SIZE != 0).then(|| long(&self.body, 16))
    }

    /// Its answer: an error, or `payload`.
    pub(super) fn answer(&self, result: Result<&[u8], i32>) -> Vec<u8> {
        let (error, payload) = match result {
            Ok(payload) => (0, payload),
            Err(errno) => (-errno, [].as_slice()),
        };
        let len = u32::try_from(16 + payload.len()).expect("the length of an answer");
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend(error.to_ne_bytes());
        bytes.extend(self.unique.to_ne_bytes());
        bytes.extend(payload);
        bytes
    }
}

/// The answer to INIT: what we can do beside the usual.
pub(super) fn init(flags: u32) -> Vec<u8> {
    let mut out = words(&[7, 31, MAX_WRITE, USUAL | flags]);
    // The numbers of background requests, and from which on there are many.
    out.extend([64_u16, 48].iter().flat_map(|number| number.to_ne_bytes()));
    out.extend(words(&[MAX_WRITE, 1]));
    let pages = 256_u16;
    out.extend(pages.to_ne_bytes());
    out.resize(64, 0);
    out
}

/// The answer to GETATTR: a regular file of `len` bytes, which may change at any time.
pub(super) fn attributes(len: u64) -> Vec<u8> {
    let mut out = longs(&[0, 0, 1, len, len.div_ceil(512), 0, 0, 0]);
    out.extend(words(&[0, 0, 0, libc::S_IFREG | 0o600, 1, 0, 0, 0, 4096, 0]));
    out
}

/// The answer to OPEN.
pub(super) fn opened(flags: u32) -> Vec<u8> {
    let mut out = longs(&[1]);
    out.extend(words(&[flags, 0]));
    out
}

/// The answer to STATFS: a file system with room.
pub(super) fn room() -> Vec<u8> {
    let mut out = longs(&[1 << 20, 1 << 19, 1 << 19, 1, 0]);
    out.extend(words(&[4096, 255, 4096, 0, 0, 0, 0, 0, 0, 0]));
    out
}

/// The answer to GETLK: there is none.
pub(super) fn no_lock() -> Vec<u8> {
    let mut out = longs(&[0, 0]);
    out.extend(words(&[libc::F_UNLCK.unsigned_abs(), 0]));
    out
}

/// The answer to WRITE.
pub(super) fn written(len: u32) -> Vec<u8> {
    words(&[len, 0])
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn longs(longs: &[u64]) -> Vec<u8> {
    longs.iter().flat_map(|long| long.to_ne_bytes()).collect()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(field(bytes, at))
}

fn signed(bytes: &[u8], at: usize) -> i32 {
    i32::from_ne_bytes(field(bytes, at))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(field(bytes, at))
}

fn field<const LEN: usize>(bytes: &[u8], at: usize) -> [u8; LEN] {
    bytes[at..at + LEN].try_into().expect("a field of a request")
}

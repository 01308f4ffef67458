// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Requests in bytes, the calls that they become, and the answers in bytes.

mod attributes;
mod directory;
mod entries;
mod files;
mod hostile;
mod locks;
mod recorder;
mod session;
mod waiting;
mod xattrs;

use super::{Limits, Outcome, Server};
use crate::bytes::{Bytes, Room};
use crate::filesystem::{Failure, InitFlags};
use recorder::Recorder;

/// The `unique` of every request.
const UNIQUE: u64 = 0x1122_3344_5566_7788;

/// What there is room for in an answer, if nothing else is said.
const ROOM: usize = 8192;

/// The inode of most requests.
const INODE: u64 = 0xabc;

/// Bytes in the making.
#[derive(Clone, Default)]
struct Raw(Vec<u8>);

impl Raw {
    fn new() -> Self {
        Self::default()
    }

    fn u16(self, number: u16) -> Self {
        self.raw(&number.to_ne_bytes())
    }

    fn u32(self, number: u32) -> Self {
        self.raw(&number.to_ne_bytes())
    }

    fn u64(self, number: u64) -> Self {
        self.raw(&number.to_ne_bytes())
    }

    fn zeroes(self, count: usize) -> Self {
        self.raw(&vec![0; count])
    }

    /// A text and its NUL.
    fn text(self, text: &str) -> Self {
        self.raw(text.as_bytes()).raw(&[0])
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// A request for [`INODE`], from user 1000, group 1001, process 77, with as many words of extensions.
fn request_with(opcode: u32, arguments: Raw, extensions: u16) -> Vec<u8> {
    let len = u32::try_from(40 + arguments.0.len()).unwrap();
    let head = Raw::new().u32(len).u32(opcode).u64(UNIQUE).u64(INODE);
    let head = head.u32(1000).u32(1001).u32(77).u16(extensions).u16(0);
    head.raw(&arguments.0).0
}

fn request(opcode: u32, arguments: Raw) -> Vec<u8> {
    request_with(opcode, arguments, 0)
}

/// What INIT says: this version, these flags.
fn init(minor: u32, flags: InitFlags) -> Vec<u8> {
    let [low, high] = [flags.0 & u64::from(u32::MAX), flags.0 >> 32];
    let [low, high] = [low, high].map(|half| u32::try_from(half).unwrap());
    request(26, Raw::new().u32(7).u32(minor).u32(131_072).u32(low).u32(high).zeroes(44))
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Fine(Vec<u8>),
    Error(i32),
    Nothing,
}

/// A server whose session has begun, and what it has called.
struct Bench {
    server: Server<Recorder>,
}

impl Bench {
    /// Everything was offered and is wanted.
    fn new() -> Self {
        Self::with(InitFlags(u64::MAX))
    }

    fn with(flags: InitFlags) -> Self {
        let bench = Self::before_init();
        assert!(matches!(bench.serve(&init(45, flags)), Answer::Fine(_)));
        bench.calls();
        bench
    }

    fn before_init() -> Self {
        Self { server: Server::new(Recorder::default(), Limits::default()) }
    }

    /// What has been called since this was last asked.
    fn calls(&self) -> Vec<String> {
        self.server.file_system().calls()
    }

    /// Each call fails from now on.
    fn fail(&self, failure: Failure) {
        self.server.file_system().fail(failure);
    }

    fn serve(&self, request: &[u8]) -> Answer {
        self.serve_in(request, ROOM)
    }

    /// Serves a request whose answer has so much room.
    fn serve_in(&self, request: &[u8], room: usize) -> Answer {
        let room = Room::new(room);
        match self.server.serve(&Bytes::new(request), &room, true) {
            Outcome::Done(0) => Answer::Nothing,
            Outcome::Done(written) => parse(&room.into_bytes()[..written]),
            outcome => panic!("{outcome:?}"),
        }
    }

    /// A request leads to this one call, and to this answer.
    fn check(&self, opcode: u32, arguments: Raw, call: &str, answer: Raw) {
        assert_eq!(self.serve(&request(opcode, arguments)), Answer::Fine(answer.0), "{call}");
        assert_eq!(self.calls(), [call]);
    }

    /// A request leads to this error number, and to no call.
    fn check_refused(&self, opcode: u32, arguments: Raw, errno: i32) {
        assert_eq!(self.serve(&request(opcode, arguments)), Answer::Error(errno));
        assert_eq!(self.calls(), [""; 0]);
    }
}

fn parse(bytes: &[u8]) -> Answer {
    let head = bytes.first_chunk::<16>().expect("a header");
    let len = u32::from_ne_bytes(head[..4].try_into().unwrap());
    assert_eq!(usize::try_from(len).unwrap(), bytes.len(), "the length in the header");
    assert_eq!(head[8..], UNIQUE.to_ne_bytes(), "whose answer it is");
    match i32::from_ne_bytes(head[4..8].try_into().unwrap()) {
        0 => Answer::Fine(bytes[16..].to_vec()),
        error => {
            assert_eq!(bytes.len(), 16, "an error has nothing behind its header");
            Answer::Error(-error)
        }
    }
}

/// `fuse_attr` as the recorder's attributes are.
fn attr() -> Raw {
    let times = Raw::new().u64(10).u64(20).u64(30).u32(1).u32(2).u32(3);
    Raw::new()
        .u64(5)
        .u64(6)
        .u64(7)
        .raw(&times.0)
        .u32(0o100_644)
        .u32(2)
        .u32(8)
        .u32(9)
        .u32(0)
        .u32(512)
        .u32(0)
}

/// `fuse_entry_out` as the recorder's entries are.
fn entry() -> Raw {
    Raw::new().u64(0x77).u64(4).u64(1).u64(2).u32(500_000_000).u32(0).raw(&attr().0)
}

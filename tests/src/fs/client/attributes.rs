// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Attributes, ordinary and extended.

use super::{Attr, FsClient, Reply, Statx};
use crate::fs::wire::{Body, GETATTR_FH, init, opcode, setattr};

/// A time that SETATTR sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// That of the host, now.
    Now,
    /// Seconds and nanoseconds.
    At(u64, u32),
}

/// What SETATTR changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// By this handle.
    pub fh: Option<u64>,
    /// To this length.
    pub size: Option<u64>,
    /// To this mode.
    pub mode: Option<u32>,
    /// To this owner.
    pub uid: Option<u32>,
    /// To this group.
    pub gid: Option<u32>,
    /// Read last then.
    pub atime: Option<Time>,
    /// Written last then.
    pub mtime: Option<Time>,
    /// More flags.
    pub valid: u32,
}

impl Change {
    fn body(self) -> Vec<u8> {
        let bit = |is: bool, bit: u32| if is { bit } else { 0 };
        let time = |time: Option<Time>| match time {
            Some(Time::At(seconds, nanos)) => (seconds, nanos),
            Some(Time::Now) | None => (0, 0),
        };
        let valid = self.valid
            | bit(self.fh.is_some(), setattr::FH)
            | bit(self.size.is_some(), setattr::SIZE)
            | bit(self.mode.is_some(), setattr::MODE)
            | bit(self.uid.is_some(), setattr::UID)
            | bit(self.gid.is_some(), setattr::GID)
            | bit(self.atime.is_some(), setattr::ATIME)
            | bit(self.atime == Some(Time::Now), setattr::ATIME_NOW)
            | bit(self.mtime.is_some(), setattr::MTIME)
            | bit(self.mtime == Some(Time::Now), setattr::MTIME_NOW);
        let (atime, mtime) = (time(self.atime), time(self.mtime));
        let body = Body::new().u32s(&[valid, 0]);
        let body = body.u64s(&[self.fh.unwrap_or(0), self.size.unwrap_or(0), 0]);
        let body = body.u64s(&[atime.0, mtime.0, 0]).u32s(&[atime.1, mtime.1, 0]);
        let body = body.u32s(&[self.mode.unwrap_or(0), 0]);
        body.u32s(&[self.uid.unwrap_or(0), self.gid.unwrap_or(0), 0]).finish()
    }
}

impl FsClient {
    /// GETATTR.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn getattr(&mut self, node: u64) -> Reply<Attr> {
        self.attributes(opcode::GETATTR, node, &Body::new().u32s(&[0, 0]).u64s(&[0]).finish())
    }

    /// GETATTR of what is open with the handle `fh`.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn getattr_open(&mut self, node: u64, fh: u64) -> Reply<Attr> {
        let body = Body::new().u32s(&[GETATTR_FH, 0]).u64s(&[fh]);
        self.attributes(opcode::GETATTR, node, &body.finish())
    }

    /// SETATTR.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn setattr(&mut self, node: u64, change: Change) -> Reply<Attr> {
        self.attributes(opcode::SETATTR, node, &change.body())
    }

    #[track_caller]
    fn attributes(&mut self, opcode: u32, node: u64, body: &[u8]) -> Reply<Attr> {
        self.request(opcode, node, body, 104).map(|reply| Attr::alone(&reply))
    }

    /// STATX of the fields in `mask`.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn statx(&mut self, node: u64, fh: Option<u64>, mask: u32) -> Reply<Statx> {
        let flags = if fh.is_some() { GETATTR_FH } else { 0 };
        let body = Body::new().u32s(&[flags, 0]).u64s(&[fh.unwrap_or(0)]).u32s(&[0, mask]);
        self.request(opcode::STATX, node, &body.finish(), 288).map(|reply| Statx::of(&reply))
    }

    /// ACCESS, with a mask of access(2).
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn access(&mut self, node: u64, mask: u32) -> Reply<()> {
        self.request(opcode::ACCESS, node, &Body::new().u32s(&[mask, 0]).finish(), 0).map(drop)
    }

    /// SETXATTR, with flags of setxattr(2).
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn setxattr(
        &mut self,
        node: u64,
        name: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        flags: u32,
    ) -> Reply<()> {
        let len = u32::try_from(value.as_ref().len()).expect("the length of a value");
        let body = Body::new().u32s(&[len, flags]);
        let extended = self.agreed() & init::SETXATTR_EXT != 0;
        let body = if extended { body.u32s(&[0, 0]) } else { body };
        let body = body.name(name).bytes(value).finish();
        self.request(opcode::SETXATTR, node, &body, 0).map(drop)
    }

    /// GETXATTR with room for `room` bytes; the value.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn getxattr(&mut self, node: u64, name: impl AsRef<[u8]>, room: u32) -> Reply<Vec<u8>> {
        let body = Body::new().u32s(&[room, 0]).name(name);
        self.sized(opcode::GETXATTR, node, &body.finish(), room)
    }

    /// LISTXATTR with room for `room` bytes; the names, each with a NUL.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn listxattr(&mut self, node: u64, room: u32) -> Reply<Vec<u8>> {
        self.sized(opcode::LISTXATTR, node, &Body::new().u32s(&[room, 0]).finish(), room)
    }

    /// A reply of `room` bytes, or its length where there is no room.
    #[track_caller]
    fn sized(&mut self, opcode: u32, node: u64, body: &[u8], room: u32) -> Reply<Vec<u8>> {
        let room = usize::try_from(room).expect("room for a reply");
        self.request(opcode, node, body, room.max(8)).map(Vec::from)
    }

    /// REMOVEXATTR.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn removexattr(&mut self, node: u64, name: impl AsRef<[u8]>) -> Reply<()> {
        self.request(opcode::REMOVEXATTR, node, &Body::new().name(name).finish(), 0).map(drop)
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Locks of fcntl(2) and of flock(2).

use super::{FsClient, Reply, Ticket};
use crate::fs::wire::{Body, Fields, LK_FLOCK, OUT_HEADER, opcode};

/// A lock on a part of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The file.
    pub node: u64,
    /// Its handle.
    pub fh: u64,
    /// Whose it is.
    pub owner: u64,
    /// The first byte and the last.
    pub range: (u64, u64),
    /// F_RDLCK, F_WRLCK or F_UNLCK.
    pub kind: i32,
    /// Whether it is of flock(2).
    pub flock: bool,
}

impl Lock {
    /// One of fcntl(2) on all of a file.
    pub fn whole(node: u64, fh: u64, owner: u64, kind: i32) -> Self {
        let range = (0, i64::MAX.unsigned_abs());
        Self { node, fh, owner, range, kind, flock: false }
    }

    fn body(self) -> Vec<u8> {
        let body = Body::new().u64s(&[self.fh, self.owner, self.range.0, self.range.1]);
        let flags = if self.flock { LK_FLOCK } else { 0 };
        body.u32s(&[self.kind.cast_unsigned(), 1, flags, 0]).finish()
    }
}

impl FsClient {
    /// GETLK: the range and the type of a lock that is in the way, or F_UNLCK.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn getlk(&mut self, lock: Lock) -> Reply<((u64, u64), i32)> {
        let reply = self.request(opcode::GETLK, lock.node, &lock.body(), 24)?;
        let mut fields = Fields::of(&reply);
        Ok(((fields.u64(), fields.u64()), fields.u32().cast_signed()))
    }

    /// SETLK.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn setlk(&mut self, lock: Lock) -> Reply<()> {
        self.request(opcode::SETLK, lock.node, &lock.body(), 0).map(drop)
    }

    /// SETLKW, whose reply may be long in coming.
    #[track_caller]
    pub fn setlkw(&mut self, lock: Lock) -> Ticket {
        let message = self.message(opcode::SETLKW, lock.node, &lock.body());
        self.submit(self.on, &message, OUT_HEADER)
    }
}

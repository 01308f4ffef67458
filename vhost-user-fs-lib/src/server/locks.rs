// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Locks: GETLK, SETLK, SETLKW.

use super::refusal::{Malformed, Refusal, Served};
use super::{Call, Server};
use crate::filesystem::{
    Failure, FileSystem, Handle, InitFlags, Lock, LockKind, LockOwner, LockRequest,
};
use crate::fuse::{FileLock, LkIn};

impl<F: FileSystem> Server<F> {
    pub(super) fn getlk(&self, call: &mut Call<'_>) -> Served {
        let (handle, request) = self.lock_request(call)?;
        let room = call.answer.room()?;
        let lock = self.fs.get_lock(&call.context, call.inode(), handle, &request)?;
        let Lock { start, end, kind, pid } = lock;
        room.fill(&FileLock { start, end, kind: number_of(kind), pid })
    }

    pub(super) fn setlk(&self, call: &mut Call<'_>, waits: bool) -> Served {
        let (handle, request) = self.lock_request(call)?;
        let room = call.answer.room()?;
        match self.fs.set_lock(&call.context, call.inode(), handle, &request) {
            Err(Failure::EAGAIN) if waits => Err(Refusal::Locked),
            done => {
                done?;
                room.fill(&())
            }
        }
    }

    fn lock_request(&self, call: &mut Call<'_>) -> Result<(Handle, LockRequest), Refusal> {
        let LkIn { fh, owner, lk, lk_flags, .. } = call.request.take()?;
        let whole = lk_flags & LkIn::FLOCK != 0;
        let ours = if whole { InitFlags::FLOCK_LOCKS } else { InitFlags::POSIX_LOCKS };
        if !self.session.has(ours) {
            return Err(Failure::ENOSYS.into());
        }
        let lock = lock_of(lk)?;
        Ok((Handle(fh), LockRequest { owner: LockOwner(owner), lock, whole }))
    }
}

fn lock_of(said: FileLock) -> Result<Lock, Malformed> {
    let FileLock { start, end, kind, pid } = said;
    let Some(kind) = kind_of(kind) else {
        return Err(Malformed::Value { what: "a lock of type", value: kind.into() });
    };
    if start > end || end > Lock::END {
        return Err(Malformed::Value { what: "a lock that ends at", value: end });
    }
    Ok(Lock { start, end, kind, pid })
}

fn kind_of(number: u32) -> Option<LockKind> {
    [LockKind::Shared, LockKind::Exclusive, LockKind::Unlocked]
        .into_iter()
        .find(|kind| number_of(*kind) == number)
}

/// As Linux numbers them (`F_RDLCK`, `F_WRLCK`, `F_UNLCK`).
fn number_of(kind: LockKind) -> u32 {
    match kind {
        LockKind::Shared => 0,
        LockKind::Exclusive => 1,
        LockKind::Unlocked => 2,
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! GETATTR, SETATTR, STATX, STATFS, ACCESS, SYNCFS: about an inode, or all of them.

use super::refusal::{Malformed, Served};
use super::{Call, Server};
use crate::filesystem::{FileSystem, Handle, NewTime, SetAttr, Time};
use crate::fuse::{
    AccessIn, AttrOut, GetattrIn, SetattrIn, StatfsOut, StatxIn, StatxOut, SyncfsIn,
};

impl<F: FileSystem> Server<F> {
    pub(super) fn getattr(&self, call: &mut Call<'_>) -> Served {
        let said: GetattrIn = call.request.take()?;
        let room = call.answer.room()?;
        let handle = handle(said.getattr_flags & GetattrIn::FH != 0, said.fh);
        let attributes = self.fs.attributes(&call.context, call.inode(), handle)?;
        room.fill(&AttrOut::from(&attributes))
    }

    pub(super) fn statx(&self, call: &mut Call<'_>) -> Served {
        let said: StatxIn = call.request.take()?;
        let room = call.answer.room()?;
        let handle = handle(said.getattr_flags & GetattrIn::FH != 0, said.fh);
        let attributes = self.fs.attributes(&call.context, call.inode(), handle)?;
        room.fill(&StatxOut::from(&attributes))
    }

    pub(super) fn setattr(&self, call: &mut Call<'_>) -> Served {
        let said: SetattrIn = call.request.take()?;
        let room = call.answer.room()?;
        let changes = changes(&said)?;
        let handle = handle(said.valid & SetattrIn::FH != 0, said.fh);
        let attributes = self.fs.set_attributes(&call.context, call.inode(), handle, &changes)?;
        room.fill(&AttrOut::from(&attributes))
    }

    pub(super) fn statfs(&self, call: &Call<'_>) -> Served {
        let room = call.answer.room()?;
        let statfs = self.fs.statfs(&call.context, call.inode())?;
        room.fill(&StatfsOut {
            blocks: statfs.blocks,
            bfree: statfs.bfree,
            bavail: statfs.bavail,
            files: statfs.files,
            ffree: statfs.ffree,
            bsize: statfs.bsize,
            namelen: statfs.namelen,
            frsize: statfs.frsize,
            ..StatfsOut::default()
        })
    }

    pub(super) fn access(&self, call: &mut Call<'_>) -> Served {
        let AccessIn { mask, .. } = call.request.take()?;
        let room = call.answer.room()?;
        self.fs.access(&call.context, call.inode(), mask)?;
        room.fill(&())
    }

    pub(super) fn syncfs(&self, call: &mut Call<'_>) -> Served {
        let SyncfsIn { .. } = call.request.take()?;
        let room = call.answer.room()?;
        self.fs.sync_all(&call.context, call.inode())?;
        room.fill(&())
    }
}

fn handle(is_said: bool, fh: u64) -> Option<Handle> {
    is_said.then_some(Handle(fh))
}

fn changes(said: &SetattrIn) -> Result<SetAttr, Malformed> {
    let has = |flag| said.valid & flag != 0;
    let time = |flag, now, seconds: u64, nanoseconds| match () {
        () if has(now) => Ok(Some(NewTime::Now)),
        () if has(flag) => point(seconds, nanoseconds).map(NewTime::At).map(Some),
        () => Ok(None),
    };
    let ctime = has(SetattrIn::CTIME).then(|| point(said.ctime, said.ctimensec));
    Ok(SetAttr {
        mode: has(SetattrIn::MODE).then_some(said.mode),
        uid: has(SetattrIn::UID).then_some(said.uid),
        gid: has(SetattrIn::GID).then_some(said.gid),
        size: has(SetattrIn::LENGTH).then_some(said.size),
        atime: time(SetattrIn::ATIME, SetattrIn::ATIME_NOW, said.atime, said.atimensec)?,
        mtime: time(SetattrIn::MTIME, SetattrIn::MTIME_NOW, said.mtime, said.mtimensec)?,
        ctime: ctime.transpose()?,
        kill_suid_sgid: has(SetattrIn::KILL_SUIDGID),
    })
}

fn point(seconds: u64, nanoseconds: u32) -> Result<Time, Malformed> {
    // Some larger numbers have a meaning for utimensat(2).
    if nanoseconds > 999_999_999 {
        return Err(Malformed::Value { what: "a time's nanoseconds", value: nanoseconds.into() });
    }
    Ok(Time { seconds: seconds.cast_signed(), nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_valid_is_changed() {
        let all = SetattrIn { mode: 1, uid: 2, gid: 3, size: 4, ..SetattrIn::default() };
        assert_eq!(changes(&all), Ok(SetAttr::default()));
        let said = SetattrIn { valid: SetattrIn::UID | SetattrIn::LENGTH, ..all };
        let wanted = SetAttr { uid: Some(2), size: Some(4), ..SetAttr::default() };
        assert_eq!(changes(&said), Ok(wanted));
    }

    #[test]
    fn time_is_the_hosts_or_the_clients() {
        let valid = SetattrIn::ATIME | SetattrIn::ATIME_NOW | SetattrIn::MTIME;
        // What stands beside a time that the host's clock says means nothing.
        let atimensec = u32::MAX;
        let said =
            SetattrIn { valid, mtime: u64::MAX, mtimensec: 9, atimensec, ..Default::default() };
        let changes = changes(&said).unwrap();
        assert_eq!(changes.atime, Some(NewTime::Now));
        assert_eq!(changes.mtime, Some(NewTime::At(Time { seconds: -1, nanoseconds: 9 })));
    }

    #[test]
    fn nanoseconds_that_mean_something_else_are_refused() {
        let (valid, utime_now) = (SetattrIn::MTIME, (1 << 30) - 1);
        let said = SetattrIn { valid, mtimensec: utime_now, ..SetattrIn::default() };
        let error = changes(&said).unwrap_err();
        assert_eq!(error.to_string(), "a time's nanoseconds 1073741823 means nothing");
    }
}

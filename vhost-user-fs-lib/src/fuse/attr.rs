// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Attributes of files.

use std::time::Duration;

use super::wire::wire;
use crate::filesystem::{self, Attributes};

/// The file is the root of another file system (`FUSE_ATTR_SUBMOUNT`).
const SUBMOUNT: u32 = 1;

/// What `fuse_statx` says of a file, whatever was asked for (`STATX_BASIC_STATS`).
const BASIC_STATS: u32 = 0x7ff;

/// ... and when it was made, if that is known (`STATX_BTIME`).
const BTIME: u32 = 0x800;

wire! {
    /// `fuse_attr`.
    Attr[88] {
        ino: u64,
        size: u64,
        blocks: u64,
        atime: u64,
        mtime: u64,
        ctime: u64,
        atimensec: u32,
        mtimensec: u32,
        ctimensec: u32,
        mode: u32,
        nlink: u32,
        uid: u32,
        gid: u32,
        rdev: u32,
        blksize: u32,
        flags: u32,
    }

    /// `fuse_attr_out`.
    AttrOut[104] {
        attr_valid: u64,
        attr_valid_nsec: u32,
        dummy: u32,
        attr: Attr,
    }

    /// `fuse_statx_in`.
    StatxIn[24] {
        getattr_flags: u32,
        reserved: u32,
        fh: u64,
        sx_flags: u32,
        sx_mask: u32,
    }

    /// `fuse_sx_time`.
    Times[16] {
        tv_sec: i64,
        tv_nsec: u32,
        reserved: u32,
    }

    /// `fuse_statx`.
    Statx[256] {
        mask: u32,
        blksize: u32,
        attributes: u64,
        nlink: u32,
        uid: u32,
        gid: u32,
        mode: u16,
        spare0: u16,
        ino: u64,
        size: u64,
        blocks: u64,
        attributes_mask: u64,
        atime: Times,
        btime: Times,
        ctime: Times,
        mtime: Times,
        rdev_major: u32,
        rdev_minor: u32,
        dev_major: u32,
        dev_minor: u32,
        spare2: [u32; 28],
    }

    /// `fuse_statx_out`.
    StatxOut[288] {
        attr_valid: u64,
        attr_valid_nsec: u32,
        flags: u32,
        spare: [u32; 4],
        stat: Statx,
    }
}

/// A timeout as the wire has it: whole seconds, and nanoseconds behind them.
pub(super) fn timeout(duration: Duration) -> (u64, u32) {
    (duration.as_secs(), duration.subsec_nanos())
}

impl From<&filesystem::Attr> for Attr {
    fn from(attr: &filesystem::Attr) -> Self {
        Self {
            ino: attr.ino,
            size: attr.size,
            blocks: attr.blocks,
            atime: attr.atime.seconds.cast_unsigned(),
            mtime: attr.mtime.seconds.cast_unsigned(),
            ctime: attr.ctime.seconds.cast_unsigned(),
            atimensec: attr.atime.nanoseconds,
            mtimensec: attr.mtime.nanoseconds,
            ctimensec: attr.ctime.nanoseconds,
            mode: attr.mode,
            nlink: attr.nlink,
            uid: attr.uid,
            gid: attr.gid,
            rdev: attr.rdev,
            blksize: attr.blksize,
            flags: if attr.submount { SUBMOUNT } else { 0 },
        }
    }
}

impl From<&Attributes> for AttrOut {
    fn from(attributes: &Attributes) -> Self {
        let (attr_valid, attr_valid_nsec) = timeout(attributes.timeout);
        Self { attr_valid, attr_valid_nsec, dummy: 0, attr: Attr::from(&attributes.attr) }
    }
}

impl From<filesystem::Time> for Times {
    fn from(time: filesystem::Time) -> Self {
        Self { tv_sec: time.seconds, tv_nsec: time.nanoseconds, reserved: 0 }
    }
}

impl From<&filesystem::Attr> for Statx {
    fn from(attr: &filesystem::Attr) -> Self {
        Self {
            mask: BASIC_STATS | if attr.btime.is_some() { BTIME } else { 0 },
            blksize: attr.blksize,
            nlink: attr.nlink,
            uid: attr.uid,
            gid: attr.gid,
            // The type and the permissions are the lower 16 bits.
            mode: u16::try_from(attr.mode & 0xffff).unwrap_or_default(),
            ino: attr.ino,
            size: attr.size,
            blocks: attr.blocks,
            atime: attr.atime.into(),
            btime: attr.btime.unwrap_or_default().into(),
            ctime: attr.ctime.into(),
            mtime: attr.mtime.into(),
            rdev_major: (attr.rdev & 0x000f_ff00) >> 8,
            rdev_minor: (attr.rdev & 0xff) | ((attr.rdev >> 12) & 0x000f_ff00),
            ..Self::default()
        }
    }
}

impl From<&Attributes> for StatxOut {
    fn from(attributes: &Attributes) -> Self {
        let (attr_valid, attr_valid_nsec) = timeout(attributes.timeout);
        let stat = Statx::from(&attributes.attr);
        Self { attr_valid, attr_valid_nsec, stat, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::Time;

    #[test]
    fn times_before_1970_stay_what_they_are() {
        let mtime = Time { seconds: -2, nanoseconds: 5 };
        let attr = filesystem::Attr { mtime, ..Default::default() };
        assert_eq!(Attr::from(&attr).mtime, u64::MAX - 1);
        assert_eq!(Attr::from(&attr).mtimensec, 5);
        assert_eq!(Statx::from(&attr).mtime.tv_sec, -2);
    }

    #[test]
    fn device_numbers_are_taken_apart() {
        // Major 0x123, minor 0x45678.
        let attr = filesystem::Attr { rdev: 0x4561_2378, ..Default::default() };
        let statx = Statx::from(&attr);
        assert_eq!((statx.rdev_major, statx.rdev_minor), (0x123, 0x45678));
    }

    #[test]
    fn time_of_birth_is_said_only_if_it_is_known() {
        let mut attr = filesystem::Attr::default();
        assert_eq!(Statx::from(&attr).mask, 0x7ff);
        attr.btime = Some(Time { seconds: 3, nanoseconds: 4 });
        let statx = Statx::from(&attr);
        assert_eq!((statx.mask, statx.btime.tv_sec, statx.btime.tv_nsec), (0xfff, 3, 4));
    }

    #[test]
    fn root_of_another_file_system_is_marked() {
        let attr = filesystem::Attr { submount: true, ..Default::default() };
        assert_eq!((Attr::from(&attr).flags, Attr::default().flags), (1, 0));
    }
}

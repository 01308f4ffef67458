// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Arguments and answers of the operations.

use super::wire::wire;

wire! {
    /// `fuse_forget_in`.
    ForgetIn[8] { nlookup: u64, }

    /// `fuse_forget_one`.
    ForgetOne[16] { nodeid: u64, nlookup: u64, }

    /// `fuse_batch_forget_in`, which as many [`ForgetOne`] follow.
    BatchForgetIn[8] { count: u32, dummy: u32, }

    /// `fuse_getattr_in`.
    GetattrIn[16] { getattr_flags: u32, dummy: u32, fh: u64, }

    /// `fuse_setattr_in`.
    SetattrIn[88] {
        valid: u32,
        padding: u32,
        fh: u64,
        size: u64,
        lock_owner: u64,
        atime: u64,
        mtime: u64,
        ctime: u64,
        atimensec: u32,
        mtimensec: u32,
        ctimensec: u32,
        mode: u32,
        unused4: u32,
        uid: u32,
        gid: u32,
        unused5: u32,
    }

    /// `fuse_mknod_in`.
    MknodIn[16] { mode: u32, rdev: u32, umask: u32, padding: u32, }

    /// `fuse_mkdir_in`.
    MkdirIn[8] { mode: u32, umask: u32, }

    /// `fuse_rename_in`.
    RenameIn[8] { newdir: u64, }

    /// `fuse_rename2_in`.
    Rename2In[16] { newdir: u64, flags: u32, padding: u32, }

    /// `fuse_link_in`.
    LinkIn[8] { oldnodeid: u64, }

    /// `fuse_open_in`.
    OpenIn[8] { flags: u32, open_flags: u32, }

    /// `fuse_create_in`.
    CreateIn[16] { flags: u32, mode: u32, umask: u32, open_flags: u32, }

    /// `fuse_release_in`.
    ReleaseIn[24] { fh: u64, flags: u32, release_flags: u32, lock_owner: u64, }

    /// `fuse_flush_in`.
    FlushIn[24] { fh: u64, unused: u32, padding: u32, lock_owner: u64, }

    /// `fuse_read_in`.
    ReadIn[40] {
        fh: u64,
        offset: u64,
        size: u32,
        read_flags: u32,
        lock_owner: u64,
        flags: u32,
        padding: u32,
    }

    /// `fuse_write_in`.
    WriteIn[40] {
        fh: u64,
        offset: u64,
        size: u32,
        write_flags: u32,
        lock_owner: u64,
        flags: u32,
        padding: u32,
    }

    /// `fuse_write_out`.
    WriteOut[8] { size: u32, padding: u32, }

    /// `fuse_statfs_out`.
    StatfsOut[80] {
        blocks: u64,
        bfree: u64,
        bavail: u64,
        files: u64,
        ffree: u64,
        bsize: u32,
        namelen: u32,
        frsize: u32,
        padding: u32,
        spare: [u32; 6],
    }

    /// `fuse_fsync_in`.
    FsyncIn[16] { fh: u64, fsync_flags: u32, padding: u32, }

    /// `fuse_setxattr_in` without `FUSE_SETXATTR_EXT`.
    SetxattrIn[8] { size: u32, flags: u32, }

    /// What `FUSE_SETXATTR_EXT` adds to it.
    SetxattrExt[8] { setxattr_flags: u32, padding: u32, }

    /// `fuse_getxattr_in`.
    GetxattrIn[8] { size: u32, padding: u32, }

    /// `fuse_getxattr_out`.
    GetxattrOut[8] { size: u32, padding: u32, }

    /// `fuse_file_lock`.
    FileLock[24] { start: u64, end: u64, kind: u32, pid: u32, }

    /// `fuse_lk_in`.
    LkIn[48] { fh: u64, owner: u64, lk: FileLock, lk_flags: u32, padding: u32, }

    /// `fuse_access_in`.
    AccessIn[8] { mask: u32, padding: u32, }

    /// `fuse_ioctl_in`.
    IoctlIn[32] { fh: u64, flags: u32, cmd: u32, arg: u64, in_size: u32, out_size: u32, }

    /// `fuse_ioctl_out`.
    IoctlOut[16] { result: i32, flags: u32, in_iovs: u32, out_iovs: u32, }

    /// `fuse_fallocate_in`.
    FallocateIn[32] { fh: u64, offset: u64, length: u64, mode: u32, padding: u32, }

    /// `fuse_lseek_in`.
    LseekIn[24] { fh: u64, offset: u64, whence: u32, padding: u32, }

    /// `fuse_lseek_out`.
    LseekOut[8] { offset: u64, }

    /// `fuse_copy_file_range_in`.
    CopyFileRangeIn[56] {
        fh_in: u64,
        off_in: u64,
        nodeid_out: u64,
        fh_out: u64,
        off_out: u64,
        len: u64,
        flags: u64,
    }

    /// `fuse_copy_file_range_out`.
    CopyFileRangeOut[8] { bytes_copied: u64, }

    /// `fuse_syncfs_in`.
    SyncfsIn[8] { padding: u64, }
}

impl GetattrIn {
    /// `fh` counts (`FUSE_GETATTR_FH`).
    pub(crate) const FH: u32 = 1;
}

impl SetattrIn {
    pub(crate) const MODE: u32 = 1;
    pub(crate) const UID: u32 = 1 << 1;
    pub(crate) const GID: u32 = 1 << 2;
    pub(crate) const LENGTH: u32 = 1 << 3;
    pub(crate) const ATIME: u32 = 1 << 4;
    pub(crate) const MTIME: u32 = 1 << 5;
    pub(crate) const FH: u32 = 1 << 6;
    pub(crate) const ATIME_NOW: u32 = 1 << 7;
    pub(crate) const MTIME_NOW: u32 = 1 << 8;
    pub(crate) const CTIME: u32 = 1 << 10;
    pub(crate) const KILL_SUIDGID: u32 = 1 << 11;
}

impl OpenIn {
    /// In `open_flags`, there and in [`CreateIn`] (`FUSE_OPEN_KILL_SUIDGID`).
    pub(crate) const KILL_SUIDGID: u32 = 1;
}

impl ReleaseIn {
    pub(crate) const FLUSH: u32 = 1;
    pub(crate) const FLOCK_UNLOCK: u32 = 1 << 1;
}

impl WriteIn {
    pub(crate) const CACHE: u32 = 1;
    pub(crate) const KILL_SUIDGID: u32 = 1 << 2;
}

impl FsyncIn {
    pub(crate) const FDATASYNC: u32 = 1;
}

impl SetxattrExt {
    pub(crate) const ACL_KILL_SGID: u32 = 1;
}

impl LkIn {
    pub(crate) const FLOCK: u32 = 1;
}

impl IoctlIn {
    pub(crate) const UNRESTRICTED: u32 = 1 << 1;
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The system calls that sharing files takes while it is served, beside those of every daemon.

use vhost_user_daemon::{Profile, SystemCall};

/// What the sandbox leaves to this daemon.
pub const PROFILE: Profile = Profile { system_calls: SYSTEM_CALLS };

const fn allow(number: libc::c_long, why: &'static str) -> SystemCall {
    SystemCall::new(number, why)
}

const SYSTEM_CALLS: &[SystemCall] = &[
    // Finding files.
    allow(libc::SYS_openat, "OPEN, OPENDIR, CREATE, without a name from the guest"),
    allow(libc::SYS_openat2, "LOOKUP, CREATE: beneath a directory, through no link"),
    allow(libc::SYS_open_by_handle_at, "inodes that are kept as handles"),
    allow(libc::SYS_name_to_handle_at, "the handle of an inode"),
    allow(libc::SYS_readlinkat, "READLINK; what /proc/self/fd says"),
    allow(libc::SYS_dup, "FLUSH: errors of a file system that has them at close"),
    allow(libc::SYS_fchdir, "extended attributes of what cannot be opened, through /proc/self/fd"),
    // Directories and names.
    allow(libc::SYS_getdents64, "READDIR, READDIRPLUS"),
    allow(libc::SYS_mkdirat, "MKDIR"),
    allow(libc::SYS_mknodat, "MKNOD"),
    allow(libc::SYS_symlinkat, "SYMLINK"),
    allow(libc::SYS_linkat, "LINK; a TMPFILE gets a name"),
    allow(libc::SYS_unlinkat, "UNLINK, RMDIR"),
    allow(libc::SYS_renameat2, "RENAME, RENAME2"),
    // Attributes.
    allow(libc::SYS_fchmod, "SETATTR of an open file"),
    allow(libc::SYS_fchmodat, "SETATTR"),
    allow(FCHMODAT2, "SETATTR"),
    allow(libc::SYS_fchownat, "SETATTR"),
    allow(libc::SYS_utimensat, "SETATTR"),
    allow(libc::SYS_fsetxattr, "SETXATTR of an open file"),
    allow(libc::SYS_fgetxattr, "GETXATTR of an open file"),
    allow(libc::SYS_flistxattr, "LISTXATTR of an open file"),
    allow(libc::SYS_fremovexattr, "REMOVEXATTR of an open file"),
    allow(libc::SYS_setxattr, "SETXATTR"),
    allow(libc::SYS_getxattr, "GETXATTR"),
    allow(libc::SYS_listxattr, "LISTXATTR"),
    allow(libc::SYS_removexattr, "REMOVEXATTR"),
    // Contents. READ and WRITE, and the size, are what every daemon does with descriptors.
    allow(libc::SYS_fsync, "FSYNC, FSYNCDIR"),
    allow(libc::SYS_fdatasync, "FSYNC of data alone"),
    allow(libc::SYS_syncfs, "SYNCFS"),
    allow(libc::SYS_fallocate, "FALLOCATE"),
    allow(libc::SYS_copy_file_range, "COPY_FILE_RANGE"),
    // Locks.
    allow(libc::SYS_fcntl, "SETLK").where_is(1, libc::F_OFD_SETLK.unsigned_abs()),
    allow(libc::SYS_fcntl, "GETLK").where_is(1, libc::F_OFD_GETLK.unsigned_abs()),
    allow(libc::SYS_flock, "SETLK of a whole file"),
    // IOCTL.
    allow(libc::SYS_ioctl, "flags of a file").where_is(1, ioctl(libc::FS_IOC_GETFLAGS)),
    allow(libc::SYS_ioctl, "flags of a file").where_is(1, ioctl(libc::FS_IOC_SETFLAGS)),
    allow(libc::SYS_ioctl, "project and flags of a file").where_is(1, FS_IOC_FSGETXATTR),
    allow(libc::SYS_ioctl, "project and flags of a file").where_is(1, FS_IOC_FSSETXATTR),
    // Whose the guest's files are: of one thread, by the system calls themselves.
    allow(libc::SYS_setresuid, "what the guest makes belongs to the user who makes it"),
    allow(libc::SYS_setresgid, "the same, of groups"),
    allow(libc::SYS_setgroups, "the same, of supplementary groups"),
    allow(libc::SYS_capget, "which rights the thread has"),
    allow(libc::SYS_capset, "CAP_FSETID is let go of where set-user-id bits shall be cleared"),
    allow(libc::SYS_umask, "the mask of the user who makes a file"),
];

#[expect(clippy::cast_possible_truncation, reason = "numbers of ioctls have 32 bits")]
const fn ioctl(number: libc::Ioctl) -> u32 {
    number as u32
}

const FS_IOC_FSGETXATTR: u32 = ioctl(libc::_IOR::<[u8; 28]>(b'X' as u32, 31));
const FS_IOC_FSSETXATTR: u32 = ioctl(libc::_IOW::<[u8; 28]>(b'X' as u32, 32));

// Of kernels that are newer than some C libraries' headers, from 6.6 on; the same on every architecture.
const FCHMODAT2: libc::c_long = 452;

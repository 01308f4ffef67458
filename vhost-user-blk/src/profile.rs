// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The system calls that a block device makes while it serves, beside those of every daemon.

use vhost_user_daemon::{Profile, SystemCall};

/// What the sandbox leaves to this daemon.
pub const PROFILE: Profile = Profile { system_calls: SYSTEM_CALLS };

const fn allow(number: libc::c_long, why: &'static str) -> SystemCall {
    SystemCall::new(number, why)
}

const SYSTEM_CALLS: &[SystemCall] = &[
    allow(libc::SYS_fdatasync, "FLUSH without an io_uring"),
    allow(libc::SYS_fallocate, "DISCARD and WRITE_ZEROES without an io_uring"),
    allow(libc::SYS_ioctl, "DISCARD on a block device").where_is(1, BLKDISCARD),
    allow(libc::SYS_ioctl, "the size of a block device").where_is(1, BLKGETSIZE64),
];

#[expect(clippy::cast_possible_truncation, reason = "numbers of ioctls have 32 bits")]
const BLKDISCARD: u32 = libc::_IO(0x12, 119) as u32;

#[expect(clippy::cast_possible_truncation, reason = "numbers of ioctls have 32 bits")]
const BLKGETSIZE64: u32 = libc::_IOR::<usize>(0x12, 114) as u32;

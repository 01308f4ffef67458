// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What one thread is and may: users, groups, capabilities, umask, current directory.
//!
//! The C library's functions for users and groups change those of all threads; the system calls
//! themselves change the calling thread's alone.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::checked;

/// The capabilities of a thread, each a bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    pub(crate) effective: u64,
    pub(crate) permitted: u64,
    pub(crate) inheritable: u64,
}

impl Capabilities {
    pub(crate) const DAC_OVERRIDE: u64 = 1 << 1;
    pub(crate) const FSETID: u64 = 1 << 4;
    pub(crate) const SETGID: u64 = 1 << 6;
    pub(crate) const SETUID: u64 = 1 << 7;
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Words {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`: two of [`Words`].
const VERSION: u32 = 0x2008_0522;

/// The calling thread's effective user and group.
pub(crate) fn ids() -> (u32, u32) {
    // SAFETY: the call takes no arguments and cannot fail.
    let uid = unsafe { libc::geteuid() };
    // SAFETY: the call takes no arguments and cannot fail.
    let gid = unsafe { libc::getegid() };
    (uid, gid)
}

/// Changes the calling thread's effective user.
pub(crate) fn set_user(uid: u32) -> io::Result<()> {
    // SAFETY: the call takes numbers alone; -1 leaves the real and the saved user as they are.
    checked_long(unsafe { libc::syscall(libc::SYS_setresuid, -1, uid, -1) })
}

/// Changes the calling thread's effective group.
pub(crate) fn set_group(gid: u32) -> io::Result<()> {
    // SAFETY: the call takes numbers alone; -1 leaves the real and the saved group as they are.
    checked_long(unsafe { libc::syscall(libc::SYS_setresgid, -1, gid, -1) })
}

/// Changes the calling thread's supplementary groups.
pub(crate) fn set_groups(groups: &[u32]) -> io::Result<()> {
    let (len, groups) = (groups.len(), groups.as_ptr());
    // SAFETY: there are `len` groups, which are only read.
    checked_long(unsafe { libc::syscall(libc::SYS_setgroups, len, groups) })
}

/// The calling thread's capabilities.
pub(crate) fn capabilities() -> io::Result<Capabilities> {
    let header = Header { version: VERSION, pid: 0 };
    let mut words = [Words::default(); 2];
    let (head, out) = (&raw const header, words.as_mut_ptr());
    // SAFETY: both are ours, and of the sizes that this version has.
    checked_long(unsafe { libc::syscall(libc::SYS_capget, head, out) })?;
    let [low, high] = words;
    let whole = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(Capabilities {
        effective: whole(low.effective, high.effective),
        permitted: whole(low.permitted, high.permitted),
        inheritable: whole(low.inheritable, high.inheritable),
    })
}

/// Changes the calling thread's capabilities.
pub(crate) fn set_capabilities(capabilities: Capabilities) -> io::Result<()> {
    let header = Header { version: VERSION, pid: 0 };
    let Capabilities { effective, permitted, inheritable } = capabilities;
    let half = |shift: u32| Words {
        effective: word(effective >> shift),
        permitted: word(permitted >> shift),
        inheritable: word(inheritable >> shift),
    };
    let words = [half(0), half(32)];
    let (head, said) = (&raw const header, words.as_ptr());
    // SAFETY: both are ours, and of the sizes that this version has; they are only read.
    checked_long(unsafe { libc::syscall(libc::SYS_capset, head, said) })
}

#[expect(clippy::cast_possible_truncation, reason = "the upper half is another word")]
fn word(bits: u64) -> u32 {
    bits as u32
}

/// Gives the calling thread a umask and a current directory of its own.
pub(crate) fn leave_shared_files() -> io::Result<()> {
    // SAFETY: the call takes numbers alone.
    checked(unsafe { libc::unshare(libc::CLONE_FS) })
}

/// Changes the current directory: of the calling thread, if it has its own.
pub(crate) fn set_directory(directory: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes a number alone.
    checked(unsafe { libc::fchdir(directory.as_raw_fd()) })
}

/// Changes the umask: of the calling thread, if it has its own.
pub(crate) fn set_umask(mask: u32) {
    // SAFETY: the call takes a number alone and cannot fail.
    unsafe { libc::umask(mask) };
}

fn checked_long(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Locks that belong to an open file description: fcntl(2), "Open file description locks", and flock(2).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::filesystem::{Lock, LockKind};

/// Takes, changes or gives up a lock on bytes, without waiting.
///
/// # Errors
/// EAGAIN: another one is in the way. EINVAL: the bytes cannot be locked. EBADF: the file is not open for
/// that.
pub(crate) fn set_record(file: BorrowedFd<'_>, lock: &Lock) -> io::Result<()> {
    let lock = flock(lock)?;
    // SAFETY: `lock` lives through the call, which only reads it.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// A lock that is in the way of this one, or one of the kind [`LockKind::Unlocked`].
///
/// # Errors
/// EINVAL: the bytes cannot be locked.
pub(crate) fn get_record(file: BorrowedFd<'_>, lock: &Lock) -> io::Result<Lock> {
    let mut found = flock(lock)?;
    // SAFETY: `found` is ours to write, and lives through the call.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut found) } == -1 {
        return Err(io::Error::last_os_error());
    }
    let kind = match libc::c_int::from(found.l_type) {
        libc::F_RDLCK => LockKind::Shared,
        libc::F_WRLCK => LockKind::Exclusive,
        _ => return Ok(Lock { kind: LockKind::Unlocked, ..*lock }),
    };
    let start = u64::try_from(found.l_start).unwrap_or(0);
    let end = match u64::try_from(found.l_len) {
        Ok(0) | Err(_) => Lock::END,
        Ok(len) => start.saturating_add(len - 1).min(Lock::END),
    };
    // Of those of open file descriptions nobody knows the process.
    Ok(Lock { start, end, kind, pid: u32::try_from(found.l_pid).unwrap_or(0) })
}

/// Takes, changes or gives up the lock of a whole file, without waiting.
///
/// # Errors
/// EAGAIN: another one is in the way.
pub(crate) fn set_whole(file: BorrowedFd<'_>, kind: LockKind) -> io::Result<()> {
    let operation = match kind {
        LockKind::Shared => libc::LOCK_SH,
        LockKind::Exclusive => libc::LOCK_EX,
        LockKind::Unlocked => libc::LOCK_UN,
    };
    // SAFETY: flock(2) takes numbers alone.
    match unsafe { libc::flock(file.as_raw_fd(), operation | libc::LOCK_NB) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn flock(lock: &Lock) -> io::Result<libc::flock> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    if lock.end < lock.start {
        return Err(invalid());
    }
    let kind = match lock.kind {
        LockKind::Shared => libc::F_RDLCK,
        LockKind::Exclusive => libc::F_WRLCK,
        LockKind::Unlocked => libc::F_UNLCK,
    };
    let len = if lock.end >= Lock::END { 0 } else { lock.end - lock.start + 1 };
    Ok(libc::flock {
        l_type: libc::c_short::try_from(kind).map_err(|_| invalid())?,
        l_whence: 0,
        l_start: libc::off_t::try_from(lock.start).map_err(|_| invalid())?,
        l_len: libc::off_t::try_from(len).map_err(|_| invalid())?,
        l_pid: 0,
    })
}

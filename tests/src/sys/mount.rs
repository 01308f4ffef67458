// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Mounts that nobody else sees.

use std::ffi::CStr;
use std::io;
use std::ptr::null;

use super::check;

/// Gives the calling thread mounts of its own, and the threads and processes that it starts from
/// now on: what they mount goes with the last of them, and nobody else ever sees it.
///
/// # Errors
/// The thread may not (CAP_SYS_ADMIN).
pub(crate) fn own_mounts() -> io::Result<()> {
    // SAFETY: the call takes numbers only; what the thread shared with others it has a copy of.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    mount_with(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE, None)
}

/// Mounts a file system of the type `kind` over `target`.
///
/// # Errors
/// Those of mount(2).
pub(crate) fn mount(source: &CStr, target: &CStr, kind: &CStr, options: &CStr) -> io::Result<()> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    mount_with(Some(source), target, Some(kind), flags, Some(options))
}

/// Mounts what is at `source`, with all that is mounted in it, at `target` as well.
///
/// # Errors
/// Those of mount(2).
pub(crate) fn bind(source: &CStr, target: &CStr) -> io::Result<()> {
    mount_with(Some(source), target, None, libc::MS_BIND | libc::MS_REC, None)
}

/// Takes what is mounted over `target` away, whoever uses it.
///
/// # Errors
/// Those of umount2(2).
pub(crate) fn unmount(target: &CStr) -> io::Result<()> {
    // SAFETY: the path is a C string.
    check(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }).map(drop)
}

fn mount_with(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    options: Option<&CStr>,
) -> io::Result<()> {
    let [source, kind, options] =
        [source, kind, options].map(|text| text.map_or(null(), CStr::as_ptr));
    // SAFETY: each pointer is null or a C string.
    check(unsafe { libc::mount(source, target.as_ptr(), kind, flags, options.cast()) }).map(drop)
}

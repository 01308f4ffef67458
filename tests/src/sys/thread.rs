// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Stopping one thread of a process that we started.

use std::io;
use std::ptr::null_mut;

use super::check;

/// Stops the thread `tid`, of a process that is our child, wherever it is. The same thread of ours
/// must [`resume_thread`] it.
pub(crate) fn stop_thread(tid: i32) -> io::Result<()> {
    trace(libc::PTRACE_SEIZE, tid)?;
    trace(libc::PTRACE_INTERRUPT, tid)?;
    let mut status = 0;
    // SAFETY: `status` may be written by the call.
    check(unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL) })?;
    if libc::WIFSTOPPED(status) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// Lets a stopped thread go on where it was, or go if it was killed meanwhile: until we look away, its
/// process has not ended.
pub(crate) fn resume_thread(tid: i32) -> io::Result<()> {
    if trace(libc::PTRACE_DETACH, tid).is_ok() {
        return Ok(());
    }
    let mut status = 0;
    // SAFETY: `status` may be written by the call.
    check(unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL) }).map(drop)
}

fn trace(request: libc::c_uint, tid: i32) -> io::Result<()> {
    let nothing: *mut libc::c_void = null_mut();
    // SAFETY: none of these requests reads or writes memory of ours.
    let result = unsafe { libc::ptrace(request, tid, nothing, nothing) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

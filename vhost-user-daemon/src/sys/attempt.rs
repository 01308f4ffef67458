// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! System calls that a daemon never makes, for a test that sees them forbidden.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::ptr;

use super::checked;

/// An io_uring of one entry.
pub(crate) fn io_uring_setup() -> io::Result<()> {
    // A structure of 120 bytes, in which zeroes stand for what is usual.
    let mut parameters = [0_u32; 30];
    // SAFETY: the call reads and writes `parameters`, which has the size that it expects.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) };
    if fd == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Becomes the program at `path`. Returns only if that does not work.
pub(crate) fn execute(path: &CStr) -> io::Error {
    let arguments = [path.as_ptr(), ptr::null()];
    // SAFETY: the path ends with a NUL, the lists with a null pointer; they live through the call.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), arguments[1..].as_ptr()) };
    io::Error::last_os_error()
}

/// Takes hold of another process.
pub(crate) fn ptrace(process: u32) -> io::Result<()> {
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: PTRACE_SEIZE takes numbers alone, and does not stop the other process.
    let result = unsafe { libc::ptrace(libc::PTRACE_SEIZE, process, nothing, nothing) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Asks whether a signal could be sent to another process.
pub(crate) fn signal(process: u32) -> io::Result<()> {
    let process = libc::pid_t::try_from(process).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: signal 0 reaches nobody.
    checked(unsafe { libc::kill(process, 0) }).map(drop)
}

/// Becomes another user.
pub(crate) fn setuid() -> io::Result<()> {
    // The system call itself: the library would have all threads make it.
    // SAFETY: the call takes a number.
    let result = unsafe { libc::syscall(libc::SYS_setuid, 12345) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A page that could be executed.
pub(crate) fn map_executable() -> io::Result<()> {
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a mapping at a place that the kernel chooses disturbs nobody.
    let page = unsafe { libc::mmap(ptr::null_mut(), 4096, protection, flags, -1, 0) };
    if page == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Another descriptor for what `number` stands for, if it stands for anything.
pub(crate) fn duplicate(number: RawFd) -> Option<File> {
    // SAFETY: fcntl(2) takes numbers alone here.
    let fd = checked(unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) }).ok()?;
    // SAFETY: the kernel has just handed out this descriptor, so nobody else owns it.
    Some(unsafe { File::from_raw_fd(fd) })
}

/// Opens `path` from a directory on.
pub(crate) fn open_at(directory: &File, path: &CStr) -> io::Result<File> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: `path` ends with a NUL and lives through the call.
    let fd = checked(unsafe { libc::openat(directory.as_raw_fd(), path.as_ptr(), flags) })?;
    // SAFETY: the kernel has just handed out this descriptor, so nobody else owns it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

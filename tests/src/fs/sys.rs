// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Requests and replies of the kernel, straight from and to guest memory; mounts. Only safe wrappers
//! go out.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

use crate::memory::Buffer;

/// read(2) of at most all of `to`; how many bytes there were.
///
/// # Errors
/// Those of read(2).
pub(super) fn read(file: &File, to: &Buffer) -> io::Result<usize> {
    let start = ptr::with_exposed_provenance_mut(to.host_address());
    // SAFETY: the buffer has so many bytes mapped from there, in one region, for as long as it
    // lives; nobody has a reference to them.
    let read = unsafe { libc::read(file.as_raw_fd(), start, to.len()) };
    usize::try_from(read).map_err(|_negative| io::Error::last_os_error())
}

/// write(2) of the first `len` bytes of `from`; how many were taken.
///
/// # Errors
/// Those of write(2).
pub(super) fn write(file: &File, from: &Buffer, len: usize) -> io::Result<usize> {
    assert!(len <= from.len(), "{len} bytes of a buffer of {}", from.len());
    let start = ptr::with_exposed_provenance(from.host_address());
    // SAFETY: the buffer has at least so many bytes mapped from there, in one region, for as long
    // as it lives.
    let written = unsafe { libc::write(file.as_raw_fd(), start, len) };
    usize::try_from(written).map_err(|_negative| io::Error::last_os_error())
}

/// Mounts a file system in user space over `target`, on which programs and devices are what they are
/// anywhere.
///
/// # Errors
/// Those of mount(2).
pub(super) fn mount_fuse(target: &CStr, options: &CStr) -> io::Result<()> {
    let (source, kind) = (c"bridge".as_ptr(), c"fuse".as_ptr());
    // SAFETY: all pointers are those of C strings.
    let mounted = unsafe { libc::mount(source, target.as_ptr(), kind, 0, options.as_ptr().cast()) };
    done(mounted)
}

/// Takes what is mounted over `target` away, when what was written there has gone out.
///
/// # Errors
/// Those of umount2(2): somebody uses it.
pub(super) fn unmount(target: &CStr) -> io::Result<()> {
    // SAFETY: the path is a C string.
    done(unsafe { libc::umount2(target.as_ptr(), 0) })
}

/// Swaps what is at two paths, in one step.
///
/// # Errors
/// Those of renameat2(2).
pub(super) fn exchange(one: &CStr, other: &CStr) -> io::Result<()> {
    let (here, flags) = (libc::AT_FDCWD, libc::RENAME_EXCHANGE);
    // SAFETY: both paths are C strings.
    done(unsafe { libc::renameat2(here, one.as_ptr(), here, other.as_ptr(), flags) })
}

fn done(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

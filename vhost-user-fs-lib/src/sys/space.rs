// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What files have on the disk, and what can be asked of a file system beside.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::{checked, checked_len, signed};

pub(crate) fn fallocate(file: BorrowedFd<'_>, mode: u32, offset: u64, len: u64) -> io::Result<()> {
    let (offset, len) = (signed(offset)?, signed(len)?);
    // SAFETY: the call takes numbers alone.
    checked(unsafe { libc::fallocate(file.as_raw_fd(), mode.cast_signed(), offset, len) })
}

pub(crate) fn copy_range(
    from: (BorrowedFd<'_>, u64),
    to: (BorrowedFd<'_>, u64),
    len: usize,
) -> io::Result<usize> {
    let (mut from_offset, mut to_offset) = (signed(from.1)?, signed(to.1)?);
    let (from, to) = (from.0.as_raw_fd(), to.0.as_raw_fd());
    let (from_out, to_out) = (&raw mut from_offset, &raw mut to_offset);
    // SAFETY: both offsets are ours and outlive the call.
    checked_len(unsafe { libc::copy_file_range(from, from_out, to, to_out, len, 0) })
}

pub(crate) fn fsync(file: BorrowedFd<'_>, data_only: bool) -> io::Result<()> {
    let fd = file.as_raw_fd();
    if data_only {
        // SAFETY: the call takes a number alone.
        return checked(unsafe { libc::fdatasync(fd) });
    }
    // SAFETY: the call takes a number alone.
    checked(unsafe { libc::fsync(fd) })
}

pub(crate) fn syncfs(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes a number alone.
    checked(unsafe { libc::syncfs(file.as_raw_fd()) })
}

/// The longest argument of the requests below.
pub(crate) const ARGUMENT: usize = 32;

/// An ioctl(2) whose argument is plain data of at most [`ARGUMENT`] bytes and has no pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    GetFlags,
    SetFlags,
    GetXattr,
    SetXattr,
}

pub(crate) fn control(
    file: BorrowedFd<'_>,
    control: Control,
    argument: &mut [u8; ARGUMENT],
) -> io::Result<()> {
    let request = match control {
        Control::GetFlags => libc::FS_IOC_GETFLAGS,
        Control::SetFlags => libc::FS_IOC_SETFLAGS,
        Control::GetXattr => libc::_IOR::<[u8; 28]>(u32::from(b'X'), 31),
        Control::SetXattr => libc::_IOW::<[u8; 28]>(u32::from(b'X'), 32),
    };
    // SAFETY: each of them reads or writes at most 28 bytes of the argument.
    checked(unsafe { libc::ioctl(file.as_raw_fd(), request, argument.as_mut_ptr()) })
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a block device says about itself. Asked of another file, each of these is ENOTTY.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_uint};

/// Asks a block device for its length in bytes, an u64 for all its type's name.
const BLKGETSIZE64: libc::Ioctl = libc::_IOR::<usize>(0x12, 114);

/// Asks a block device whether it is read-only, an int.
const BLKROGET: libc::Ioctl = libc::_IO(0x12, 94);

/// Asks a block device where its first whole physical block begins, an int.
const BLKALIGNOFF: libc::Ioctl = libc::_IO(0x12, 122);

/// The size of a block device, in bytes.
///
/// # Errors
/// What ioctl(2) says; ENOTTY if it is no block device.
pub(crate) fn block_device_size(device: BorrowedFd<'_>) -> io::Result<u64> {
    let mut size: u64 = 0;
    // SAFETY: BLKGETSIZE64 writes one u64 to its argument, which points to one.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), BLKGETSIZE64, &raw mut size) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(size) }
}

/// The logical block size of a block device, in bytes: the least that it can write.
///
/// # Errors
/// What ioctl(2) says; ENOTTY if it is no block device.
pub(crate) fn logical_block_size(device: BorrowedFd<'_>) -> io::Result<u32> {
    let size = int(device, libc::BLKSSZGET)?;
    u32::try_from(size).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// The physical block size of a block device, in bytes: the least that it writes without reading.
///
/// # Errors
/// What ioctl(2) says; ENOTTY if it is no block device.
pub(crate) fn physical_block_size(device: BorrowedFd<'_>) -> io::Result<u32> {
    unsigned(device, libc::BLKPBSZGET)
}

/// What a block device likes to be asked for at least, in bytes.
///
/// # Errors
/// What ioctl(2) says; ENOTTY if it is no block device.
pub(crate) fn io_min(device: BorrowedFd<'_>) -> io::Result<u32> {
    unsigned(device, libc::BLKIOMIN)
}

/// What a block device likes best to be asked for, in bytes; 0 if it does not say.
///
/// # Errors
/// What ioctl(2) says; ENOTTY if it is no block device.
pub(crate) fn io_opt(device: BorrowedFd<'_>) -> io::Result<u32> {
    unsigned(device, libc::BLKIOOPT)
}

/// Where the first whole physical block of a block device begins, in bytes; `None` if its parts
/// have different ones.
///
/// # Errors
/// What ioctl(2) says; ENOTTY if it is no block device.
pub(crate) fn alignment_offset(device: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    int(device, BLKALIGNOFF).map(|offset| u32::try_from(offset).ok())
}

/// Whether a block device is read-only, however it was opened.
///
/// # Errors
/// What ioctl(2) says; ENOTTY if it is no block device.
pub(crate) fn is_read_only(device: BorrowedFd<'_>) -> io::Result<bool> {
    int(device, BLKROGET).map(|read_only| read_only != 0)
}

/// What `question`, one of those above that are answered with an int, is answered with.
fn int(device: BorrowedFd<'_>, question: libc::Ioctl) -> io::Result<c_int> {
    let mut answer: c_int = 0;
    // SAFETY: each of the callers' questions writes one int to its argument, which points to one.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), question, &raw mut answer) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// What `question`, one of those above that are answered with an unsigned int, is answered with.
fn unsigned(device: BorrowedFd<'_>, question: libc::Ioctl) -> io::Result<c_uint> {
    let mut answer: c_uint = 0;
    // SAFETY: each of the callers' questions writes one unsigned int to its argument, which points
    // to one.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), question, &raw mut answer) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn questions_to_a_block_device_are_refused_by_a_file() {
        let file = tempfile::tempfile().unwrap();
        let file = file.as_fd();
        let errors = [
            block_device_size(file).unwrap_err(),
            logical_block_size(file).unwrap_err(),
            physical_block_size(file).unwrap_err(),
            io_min(file).unwrap_err(),
            io_opt(file).unwrap_err(),
            alignment_offset(file).unwrap_err(),
            is_read_only(file).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The system calls that the standard library lacks, as safe functions.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_uint, iovec, off_t, ssize_t};
use vhost_user_device::GuestSlice;

/// How many pieces one transfer can have: UIO_MAXIOV.
const MAX_PIECES: usize = 1024;

/// Asks a block device for its length in bytes, an u64 for all its type's name.
const BLKGETSIZE64: libc::Ioctl = libc::_IOR::<usize>(0x12, 114);

/// Asks a block device whether it is read-only, an int.
const BLKROGET: libc::Ioctl = libc::_IO(0x12, 94);

/// Reads from `offset` (bytes) of a file to guest memory, and returns how many bytes.
///
/// They may be fewer than asked for: at the end of the file, behind a signal, or with more
/// pieces than one transfer can have.
///
/// # Errors
/// What preadv2(2) says.
pub(crate) fn preadv2(
    file: BorrowedFd<'_>,
    pieces: &[GuestSlice<'_>],
    offset: u64,
) -> io::Result<usize> {
    transfer(libc::preadv2, file, pieces, offset)
}

/// Writes guest memory at `offset` (bytes) of a file, and returns how many bytes.
///
/// They may be fewer than asked for: on a full file system, behind a signal, or with more pieces
/// than one transfer can have.
///
/// # Errors
/// What pwritev2(2) says.
pub(crate) fn pwritev2(
    file: BorrowedFd<'_>,
    pieces: &[GuestSlice<'_>],
    offset: u64,
) -> io::Result<usize> {
    transfer(libc::pwritev2, file, pieces, offset)
}

/// What preadv2 and pwritev2 have in common: descriptor, pieces and their number, offset, flags.
type Vectored = unsafe extern "C" fn(c_int, *const iovec, c_int, off_t, c_int) -> ssize_t;

/// One transfer by `call`, which is preadv2 or pwritev2.
fn transfer(
    call: Vectored,
    file: BorrowedFd<'_>,
    pieces: &[GuestSlice<'_>],
    offset: u64,
) -> io::Result<usize> {
    let (pieces, count) = as_iovecs(pieces);
    let offset = as_off_t(offset)?;
    // SAFETY: by the two callers, `call` is one of the two system calls, which use `pieces` alone
    // of our memory: it points to `count` iovecs. Each is a piece of guest memory, which is mapped,
    // readable and writable for the lifetime of the GuestSlice, that is, longer than this call, and
    // which no Rust reference covers, so that the kernel may read and write it whoever else does.
    let done = unsafe { call(file.as_raw_fd(), pieces, count, offset, 0) };
    usize::try_from(done).map_err(|_| io::Error::last_os_error())
}

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
    let mut size: c_int = 0;
    // SAFETY: BLKSSZGET writes one int to its argument, which points to one.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), libc::BLKSSZGET, &raw mut size) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    u32::try_from(size).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// The physical block size of a block device, in bytes: the least that it writes without reading.
///
/// # Errors
/// What ioctl(2) says; ENOTTY if it is no block device.
pub(crate) fn physical_block_size(device: BorrowedFd<'_>) -> io::Result<u32> {
    let mut size: c_uint = 0;
    // SAFETY: BLKPBSZGET writes one unsigned int to its argument, which points to one.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), libc::BLKPBSZGET, &raw mut size) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(size) }
}

/// Whether a block device is read-only, however it was opened.
///
/// # Errors
/// What ioctl(2) says; ENOTTY if it is no block device.
pub(crate) fn is_read_only(device: BorrowedFd<'_>) -> io::Result<bool> {
    let mut read_only: c_int = 0;
    // SAFETY: BLKROGET writes one int to its argument, which points to one.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), BLKROGET, &raw mut read_only) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(read_only != 0) }
}

/// The pieces as the kernel takes them, as many as it takes at once.
fn as_iovecs(pieces: &[GuestSlice<'_>]) -> (*const iovec, c_int) {
    let count = pieces.len().min(MAX_PIECES);
    // A GuestSlice is a `struct iovec` by its layout; at most MAX_PIECES, the count fits.
    (pieces.as_ptr().cast(), c_int::try_from(count).unwrap_or(c_int::MAX))
}

fn as_off_t(offset: u64) -> io::Result<off_t> {
    off_t::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))
}

/// Ordinary memory in the place of guest memory, cut into pieces of one byte.
#[cfg(test)]
pub(crate) fn one_byte_pieces(memory: &mut [u8]) -> Vec<GuestSlice<'_>> {
    let piece = |byte: &mut u8| {
        let iovec = iovec { iov_base: std::ptr::from_mut(byte).cast(), iov_len: 1 };
        // SAFETY: a GuestSlice is an iovec by its layout, and what it promises holds: the byte
        // is valid and exclusively ours for the lifetime of `memory`, which is the slice's.
        unsafe { std::mem::transmute::<iovec, GuestSlice<'_>>(iovec) }
    };
    memory.iter_mut().map(piece).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn questions_to_a_block_device_are_refused_by_a_file() {
        let file = tempfile::tempfile().unwrap();
        let errors = [
            block_device_size(file.as_fd()).unwrap_err(),
            logical_block_size(file.as_fd()).unwrap_err(),
            physical_block_size(file.as_fd()).unwrap_err(),
            is_read_only(file.as_fd()).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
        }
    }

    #[test]
    fn offset_beyond_the_kernels_range_is_an_error() {
        let file = File::open("/dev/null").unwrap();
        let read = preadv2(file.as_fd(), &[], 1 << 63).unwrap_err();
        assert_eq!(read.raw_os_error(), Some(libc::EOVERFLOW));
        let write = pwritev2(file.as_fd(), &[], u64::MAX).unwrap_err();
        assert_eq!(write.raw_os_error(), Some(libc::EOVERFLOW));
    }
}

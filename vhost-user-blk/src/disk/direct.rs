// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Transfers past the host's page cache (O_DIRECT): whether a file has them, and what they have to
//! be multiples of.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use crate::sys::{self, DirectAlignment};

use super::options::{MAX_BLOCK_SIZE, MIN_BLOCK_SIZE};

/// The largest alignment of memory that is looked for, and what is taken in the place of one that
/// cannot be found, in bytes.
const LARGEST: usize = 4096;

/// What transfers of `file`, which was opened with O_DIRECT, have to be multiples of.
///
/// # Errors
/// There are none that could be used, or the host cannot read the file.
pub(super) fn alignment(file: &File) -> io::Result<DirectAlignment> {
    // What the file system says is about writes, too, which cannot be tried.
    let found = match sys::direct_alignment(file.as_fd()) {
        Ok(Some(DirectAlignment { memory: 0, .. } | DirectAlignment { offset: 0, .. })) => {
            return Err(none());
        }
        Ok(Some(said)) => said,
        Ok(None) | Err(_) => probe(|room, at, len| {
            let into = room.get_mut(at..at.saturating_add(len)).unwrap_or_default();
            file.read_at(into, 0)
        })?,
    };
    let memory = found.memory.checked_next_power_of_two();
    let offset = found.offset.checked_next_power_of_two();
    match (memory, offset) {
        (Some(memory), Some(offset)) if offset <= MAX_BLOCK_SIZE => {
            Ok(DirectAlignment { memory, offset: offset.max(MIN_BLOCK_SIZE) })
        }
        _ => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("writes past the page cache are of {} bytes at least", found.offset),
        )),
    }
}

/// Finds the alignment by `read`, which reads from the file's start to the bytes `at..at + len` of
/// its first argument, and is refused with EINVAL if that is not aligned.
fn probe(
    mut read: impl FnMut(&mut [u8], usize, usize) -> io::Result<usize>,
) -> io::Result<DirectAlignment> {
    let mut room = vec![0; 4 * LARGEST];
    let start = room.as_ptr().align_offset(LARGEST).min(LARGEST);
    let mut fits = |at: usize, len: usize| match read(&mut room, start + at, len) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
        Err(error) => Err(error),
    };
    let mut offset = None;
    for len in [512, 1024, 2048, 4096] {
        if fits(0, len)? {
            offset = Some(len);
            break;
        }
    }
    let offset = offset.ok_or_else(none)?;
    let mut memory = LARGEST;
    for at in [1, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048] {
        if fits(at, offset)? {
            // One that takes anything may not have looked: what was read can have been a hole.
            memory = if at == 1 { 512 } else { at };
            break;
        }
    }
    let number = |bytes| u32::try_from(bytes).map_err(io::Error::other);
    Ok(DirectAlignment { memory: number(memory)?, offset: number(offset)? })
}

fn none() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "the file system has no such transfers of it")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that wants memory and length to be multiples of these.
    fn probed(memory: usize, length: usize) -> io::Result<DirectAlignment> {
        probe(|room, at, len| {
            let aligned = (room.as_ptr().addr() + at).is_multiple_of(memory);
            if aligned && len.is_multiple_of(length) {
                Ok(0)
            } else {
                Err(io::Error::from_raw_os_error(libc::EINVAL))
            }
        })
    }

    #[test]
    fn alignment_is_found_by_trying() {
        for (memory, offset) in [(4, 512), (512, 512), (512, 4096), (4096, 4096), (2048, 1024)] {
            let found = probed(memory, offset).unwrap();
            assert_eq!((found.memory as usize, found.offset as usize), (memory, offset));
        }
    }

    #[test]
    fn file_that_takes_anything_gets_sectors() {
        assert_eq!(probed(1, 1).unwrap(), DirectAlignment { memory: 512, offset: 512 });
    }

    #[test]
    fn file_that_takes_nothing_has_no_such_transfers() {
        let error = probed(8192, 8192).unwrap_err();
        assert_eq!(error.to_string(), "the file system has no such transfers of it");
    }

    #[test]
    fn file_that_cannot_be_read_is_an_error() {
        let error = probe(|_, _, _| Err(io::Error::from_raw_os_error(libc::EIO))).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
    }
}

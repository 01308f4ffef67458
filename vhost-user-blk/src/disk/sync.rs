// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Reads, writes and flushes that the calling thread waits for.

use std::io;
use std::os::fd::AsFd;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use vhost_user_device::GuestSlice;

use crate::sys;

use super::Disk;

/// Guest memory that is read to or written from.
pub trait Memory {
    /// Its size in bytes.
    fn size(&self) -> usize;

    /// The pieces it lies in, in order, without the first `from` bytes.
    fn pieces(&mut self, from: usize) -> &[GuestSlice<'_>];
}

/// Why a transfer or a flush failed: the host's fault.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The host cannot read.
    #[error("read {len} bytes at offset {offset}")]
    Read {
        /// Where on the disk, in bytes.
        offset: u64,
        /// How much, in bytes.
        len: usize,
        /// What the host says.
        source: io::Error,
    },
    /// The host cannot write.
    #[error("write {len} bytes at offset {offset}")]
    Write {
        /// Where on the disk, in bytes.
        offset: u64,
        /// How much, in bytes.
        len: usize,
        /// What the host says.
        source: io::Error,
    },
    /// The host cannot put what was written on stable storage.
    #[error("flush")]
    Flush {
        /// What the host says.
        source: io::Error,
    },
    /// An earlier flush failed. The host may have dropped what it could not write, and tells so
    /// only once: no later flush can promise anything.
    #[error("flush: an earlier one failed, what was written before may be lost")]
    Lost,
}

impl Disk {
    /// Reads from `offset` (bytes) on, until `memory` is full.
    ///
    /// # Errors
    /// The host says no, or the file has become shorter than it was. Parts of `memory` may have
    /// been written to.
    pub fn read(&self, offset: u64, memory: &mut impl Memory) -> Result<(), DiskError> {
        let len = memory.size();
        transfer(offset, len, io::ErrorKind::UnexpectedEof, |done, at| {
            sys::preadv2(self.file.as_fd(), memory.pieces(done), at)
        })
        .map_err(|source| DiskError::Read { offset, len, source })
    }

    /// Writes all of `memory` from `offset` (bytes) on.
    ///
    /// # Errors
    /// The host says no. A part may have been written.
    pub fn write(&self, offset: u64, memory: &mut impl Memory) -> Result<(), DiskError> {
        let len = memory.size();
        transfer(offset, len, io::ErrorKind::WriteZero, |done, at| {
            sys::pwritev2(self.file.as_fd(), memory.pieces(done), at)
        })
        .map_err(|source| DiskError::Write { offset, len, source })
    }

    /// Puts all that was written before on stable storage.
    ///
    /// # Errors
    /// The host cannot, now or at an earlier flush.
    pub fn flush(&self) -> Result<(), DiskError> {
        if self.read_only {
            return Ok(());
        }
        self.flush_by(|| self.file.sync_data())
    }

    fn flush_by(&self, fdatasync: impl FnOnce() -> io::Result<()>) -> Result<(), DiskError> {
        let under_way = self.flushes.read().unwrap_or_else(PoisonError::into_inner);
        if let Err(source) = fdatasync() {
            if !self.flush_failed.swap(true, Ordering::SeqCst) {
                log::error!(
                    "disk {:?}: flush failed: what was written before may be lost, and every flush \
                     from now on fails",
                    self.path
                );
            }
            return Err(DiskError::Flush { source });
        }
        drop(under_way);
        // A lost write is told to one flush alone of those under way. Only when all of them have
        // been answered is it known whether this one's success is true.
        drop(self.flushes.write().unwrap_or_else(PoisonError::into_inner));
        if self.flush_failed.load(Ordering::SeqCst) { Err(DiskError::Lost) } else { Ok(()) }
    }
}

/// Repeats `step`, which is given how many bytes are done and the offset of the next one and
/// transfers some more, until `len` bytes are done.
///
/// A step of no byte is an error of the kind `at_end`.
fn transfer(
    offset: u64,
    len: usize,
    at_end: io::ErrorKind,
    mut step: impl FnMut(usize, u64) -> io::Result<usize>,
) -> io::Result<()> {
    let mut done = 0;
    while done < len {
        match step(done, offset.saturating_add(done as u64)) {
            Ok(0) => {
                let end = offset.saturating_add(done as u64);
                return Err(io::Error::new(at_end, format!("the disk ends at offset {end}")));
            }
            Ok(more) => done = done.saturating_add(more),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::error::Error;
    use std::fs::{self, OpenOptions};
    use std::path::PathBuf;
    use std::sync::mpsc;
    use std::thread;

    use crate::disk::Options;

    use super::*;

    /// Memory in pieces of one byte: more pieces than one transfer can have.
    struct Bytes<'m>(Vec<GuestSlice<'m>>);

    impl Memory for Bytes<'_> {
        fn size(&self) -> usize {
            self.0.len()
        }

        fn pieces(&mut self, from: usize) -> &[GuestSlice<'_>] {
            &self.0[from..]
        }
    }

    /// An open disk of `len` bytes, each another than its neighbours.
    struct Image {
        disk: Disk,
        path: PathBuf,
        _dir: tempfile::TempDir,
    }

    impl Image {
        fn new(len: usize, read_only: bool) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("disk.img");
            fs::write(&path, pattern(0, len)).unwrap();
            let options = Options { path: path.clone(), read_only, block_size: None };
            Self { disk: Disk::open(&options).unwrap(), path, _dir: dir }
        }

        fn shrink(&self, len: u64) {
            OpenOptions::new().write(true).open(&self.path).unwrap().set_len(len).unwrap();
        }
    }

    fn pattern(from: usize, len: usize) -> Vec<u8> {
        (from..from + len).map(|at| u8::try_from(at % 251).unwrap()).collect()
    }

    /// The error and its causes, as they are logged.
    fn chain(error: &DiskError) -> String {
        match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        }
    }

    fn no_space() -> io::Error {
        io::Error::from_raw_os_error(libc::ENOSPC)
    }

    #[test]
    fn read_fills_more_pieces_than_one_transfer_takes() {
        let image = Image::new(8192, false);
        let mut memory = vec![0; 4096];
        image.disk.read(512, &mut Bytes(sys::one_byte_pieces(&mut memory))).unwrap();
        assert_eq!(memory, pattern(512, 4096));
    }

    #[test]
    fn write_takes_more_pieces_than_one_transfer_takes() {
        let image = Image::new(8192, false);
        let mut memory = vec![0xee; 4096];
        image.disk.write(512, &mut Bytes(sys::one_byte_pieces(&mut memory))).unwrap();
        let mut expected = pattern(0, 8192);
        expected[512..512 + 4096].fill(0xee);
        assert_eq!(fs::read(&image.path).unwrap(), expected);
    }

    #[test]
    fn read_of_a_file_that_shrank_fails() {
        let image = Image::new(8192, false);
        image.shrink(1024);
        let mut memory = vec![0; 1024];
        let error = image.disk.read(512, &mut Bytes(sys::one_byte_pieces(&mut memory)));
        let message = "read 1024 bytes at offset 512: the disk ends at offset 1024";
        assert_eq!(chain(&error.unwrap_err()), message);
    }

    #[test]
    fn write_that_the_host_refuses_fails_with_its_errno() {
        let image = Image::new(8192, true);
        let mut memory = vec![0; 512];
        let error = image.disk.write(1024, &mut Bytes(sys::one_byte_pieces(&mut memory)));
        let message = "write 512 bytes at offset 1024: Bad file descriptor (os error 9)";
        assert_eq!(chain(&error.unwrap_err()), message);
    }

    #[test]
    fn transfer_goes_on_where_a_short_one_ended() {
        let seen = Cell::new(Vec::new());
        let more = [100, 300, 112];
        let result = transfer(1 << 40, 512, io::ErrorKind::WriteZero, |done, at| {
            let mut steps = seen.take();
            steps.push((done, at));
            let now = more[steps.len() - 1];
            seen.set(steps);
            Ok(now)
        });
        assert!(result.is_ok());
        let base = 1 << 40;
        assert_eq!(seen.take(), [(0, base), (100, base + 100), (400, base + 400)]);
    }

    #[test]
    fn transfer_is_repeated_after_a_signal() {
        let mut steps = vec![Ok(512), Err(io::Error::from_raw_os_error(libc::EINTR))];
        let result = transfer(0, 512, io::ErrorKind::WriteZero, |_, _| steps.pop().unwrap());
        assert!(result.is_ok());
        assert!(steps.is_empty());
    }

    #[test]
    fn transfer_of_nothing_takes_no_step() {
        let result = transfer(0, 0, io::ErrorKind::WriteZero, |_, _| panic!("a step"));
        assert!(result.is_ok());
    }

    #[test]
    fn flush_of_a_healthy_disk_succeeds() {
        assert!(Image::new(512, false).disk.flush().is_ok());
        assert!(Image::new(512, true).disk.flush().is_ok());
    }

    #[test]
    fn flush_after_a_failed_one_fails_for_ever() {
        let disk = Image::new(512, false).disk;
        let first = disk.flush_by(|| Err(no_space())).unwrap_err();
        assert_eq!(chain(&first), "flush: No space left on device (os error 28)");
        for _ in 0..2 {
            let later = disk.flush_by(|| Ok(())).unwrap_err();
            let message = "flush: an earlier one failed, what was written before may be lost";
            assert_eq!(chain(&later), message);
        }
    }

    #[test]
    fn flush_beside_one_that_fails_fails_too() {
        let disk = &Image::new(512, false).disk;
        let (succeeded, has_succeeded) = mpsc::channel();
        let (started, has_started) = mpsc::channel();
        thread::scope(|scope| {
            let failing = scope.spawn(move || {
                disk.flush_by(|| {
                    started.send(()).unwrap();
                    // The host tells the other one that all is well, and only then this one.
                    has_succeeded.recv().unwrap();
                    Err(no_space())
                })
            });
            has_started.recv().unwrap();
            let other = disk.flush_by(|| {
                succeeded.send(()).unwrap();
                Ok(())
            });
            assert!(matches!(other, Err(DiskError::Lost)));
            assert!(matches!(failing.join().unwrap(), Err(DiskError::Flush { .. })));
        });
    }
}

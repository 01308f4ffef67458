// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a flush promises, and since when it cannot any more.

use std::io;
use std::sync::atomic::Ordering;

use super::{Cache, Disk, DiskError, Medium};

impl Disk {
    /// Whether something is between a write and stable storage that a flush empties, and that the
    /// operator wants emptied.
    pub fn can_flush(&self) -> bool {
        self.keeps_writes() && self.cache != Cache::Unsafe
    }

    /// Whether a flush would do something, if the operator wanted that.
    pub fn would_lose(&self) -> bool {
        self.keeps_writes() && self.cache == Cache::Unsafe
    }

    fn keeps_writes(&self) -> bool {
        matches!(self.medium, Medium::File { .. }) && !self.read_only
    }

    /// Whether a flush could still promise anything.
    ///
    /// # Errors
    /// An earlier one failed, on whichever queue.
    pub fn is_sound(&self) -> Result<(), DiskError> {
        if self.doubts.lost.load(Ordering::SeqCst) { Err(DiskError::Lost) } else { Ok(()) }
    }

    /// Takes the result of an fdatasync(2) on a description of the file that does nothing else, so
    /// that it is told of every loss.
    ///
    /// # Errors
    /// What was written before is not on stable storage, or an earlier flush failed.
    pub fn flushed(&self, result: io::Result<usize>) -> Result<(), DiskError> {
        if let Err(source) = result {
            if !self.doubts.lost.swap(true, Ordering::SeqCst) {
                log::error!(
                    "disk {:?}: flush failed: what was written before may be lost, and every flush \
                     from now on fails",
                    self.path
                );
            }
            return Err(DiskError::Flush { source });
        }
        self.is_sound()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Options, Source};

    fn disk(read_only: bool, cache: Cache) -> Disk {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.img");
        std::fs::write(&path, [0; 512]).unwrap();
        Disk::open(&Options { read_only, cache, ..Options::of(&path) }).unwrap()
    }

    #[test]
    fn flush_of_a_healthy_disk_succeeds() {
        let disk = disk(false, Cache::Writeback);
        assert!(disk.is_sound().is_ok());
        assert!(disk.flushed(Ok(0)).is_ok());
    }

    #[test]
    fn flush_after_a_failed_one_fails_for_ever() {
        let disk = disk(false, Cache::Writeback);
        let first = disk.flushed(Err(io::Error::from_raw_os_error(libc::EIO))).unwrap_err();
        assert_eq!(first.to_string(), "flush");
        for later in [disk.flushed(Ok(0)), disk.is_sound()] {
            let message = "flush: an earlier one failed, what was written before may be lost";
            assert_eq!(later.unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn flush_does_something_where_something_is_to_be_kept() {
        assert!(disk(false, Cache::Writeback).can_flush());
        assert!(disk(false, Cache::Writethrough).can_flush());
        assert!(!disk(false, Cache::Unsafe).can_flush());
        assert!(disk(false, Cache::Unsafe).would_lose());
        assert!(!disk(true, Cache::Unsafe).would_lose());
        assert!(!disk(true, Cache::Writeback).can_flush());
        for source in [Source::Null(512), Source::Memory(512)] {
            let options = Options { source, ..Options::of("".as_ref()) };
            assert!(!Disk::open(&options).unwrap().can_flush());
        }
    }
}

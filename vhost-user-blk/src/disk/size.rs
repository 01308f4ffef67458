// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! How large the disk is: read at the start, and again whenever the operator or the host says that
//! it has another size.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys;

use super::Disk;

/// How much of the file or device is served, in bytes, as all queues see it.
#[derive(Debug)]
pub(super) struct Size(AtomicU64);

impl Size {
    pub(super) fn new(bytes: u64) -> Self {
        Self(AtomicU64::new(bytes))
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Before a driver can learn of the size, since its next request may be for what is there now.
    fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Release);
    }
}

impl Disk {
    /// How much of the file or device is served, in bytes: a multiple of the block size.
    pub fn size(&self) -> u64 {
        self.size.get()
    }

    /// Asks the host for the size again, logs what it says, and returns whether another number of
    /// blocks is served from now on.
    ///
    /// A request that has been judged by the old size may still be under way. If the disk has
    /// become smaller, the host ends it: a read fails, but a write makes a file longer again.
    pub fn refresh(&self) -> bool {
        self.look_again(true)
    }

    /// [`Disk::refresh`], and whether a size that stays is worth a line.
    pub(super) fn look_again(&self, asked_for: bool) -> bool {
        let path = &self.path;
        let before = self.size();
        let bytes = match self.file().map(|file| of(file, &file.metadata()?)).transpose() {
            Ok(bytes) => bytes.unwrap_or(before),
            Err(error) => {
                log::error!("ask for the size of disk {path:?}: {error}; it stays {before} bytes");
                return false;
            }
        };
        let size = whole_blocks(path, bytes, self.limits.block_size);
        if size == before {
            if asked_for {
                log::info!("disk {path:?} still has {size} bytes");
            }
            return false;
        }
        if size > before {
            log::info!("disk {path:?} has grown from {before} to {size} bytes");
        } else {
            log::warn!("disk {path:?} has shrunk from {before} to {size} bytes");
        }
        self.size.set(size);
        true
    }
}

/// The size of a regular file or a block device now, in bytes.
pub(super) fn of(file: &File, metadata: &Metadata) -> io::Result<u64> {
    if metadata.file_type().is_block_device() {
        sys::block_device_size(file.as_fd())
    } else {
        Ok(metadata.len())
    }
}

/// `size` without the part of a block at its end, of which the log says that it is not served.
pub(super) fn whole_blocks(path: &Path, size: u64, block_size: u32) -> u64 {
    let beyond = size % u64::from(block_size);
    if beyond != 0 {
        log::warn!(
            "the last {beyond} bytes of disk {path:?} are not a whole block of {block_size} \
             bytes and are not served"
        );
    }
    size - beyond
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::disk::Options;

    use super::*;

    /// An open disk of 8 KiB in blocks of `block_size` bytes.
    struct Image {
        disk: Disk,
        path: PathBuf,
        _dir: tempfile::TempDir,
    }

    impl Image {
        fn new(block_size: u32) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("disk.img");
            File::create(&path).unwrap().set_len(8192).unwrap();
            let options = Options { block_size: Some(block_size), ..Options::of(&path) };
            Self { disk: Disk::open(&options).unwrap(), path, _dir: dir }
        }

        /// Gives the file another length, and has the disk look at it.
        fn resized(&self, len: u64) -> bool {
            File::options().write(true).open(&self.path).unwrap().set_len(len).unwrap();
            self.disk.refresh()
        }
    }

    #[test]
    fn disk_that_grows_or_shrinks_has_its_new_size() {
        let image = Image::new(512);
        for len in [16384, 512, 8192] {
            assert!(image.resized(len));
            assert_eq!(image.disk.size(), len);
        }
    }

    #[test]
    fn disk_of_the_same_size_has_not_changed() {
        let image = Image::new(512);
        assert!(!image.disk.refresh());
        assert!(!image.resized(8192));
        assert_eq!(image.disk.size(), 8192);
    }

    #[test]
    fn disk_that_grows_by_part_of_a_block_has_not_changed() {
        let image = Image::new(4096);
        assert!(!image.resized(8192 + 4095));
        assert_eq!(image.disk.size(), 8192);
        assert!(image.resized(12288 + 1));
        assert_eq!(image.disk.size(), 12288);
    }

    #[test]
    fn disk_without_a_whole_block_is_empty_and_can_grow_again() {
        let image = Image::new(4096);
        assert!(image.resized(4095));
        assert_eq!(image.disk.size(), 0);
        assert!(!image.resized(0));
        assert!(image.resized(4096));
        assert_eq!(image.disk.size(), 4096);
    }

    #[test]
    fn disk_that_was_renamed_is_still_the_one_that_was_opened() {
        let image = Image::new(512);
        let other = image.path.with_file_name("other.img");
        std::fs::rename(&image.path, &other).unwrap();
        std::fs::write(&image.path, [0; 512]).unwrap();
        assert!(!image.disk.refresh());
        File::options().write(true).open(&other).unwrap().set_len(1024).unwrap();
        assert!(image.disk.refresh());
        assert_eq!(image.disk.size(), 1024);
    }
}

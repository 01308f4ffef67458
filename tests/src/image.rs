// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Disk images in which every sector is told from every other.

use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile, TempPath};

use crate::bytes::Bytes;
use crate::ordinary;

/// The size of a sector, in bytes, whatever the block size is.
pub const SECTOR: usize = 512;

/// An image file that is there for as long as the value lives.
#[derive(Debug)]
pub struct Image {
    path: TempPath,
}

impl Image {
    /// An image of `sectors` sectors, each with [`Image::contents`] of its own.
    pub fn of_sectors(sectors: u64) -> Self {
        Self::of((0..sectors).flat_map(Self::contents).collect::<Vec<u8>>())
    }

    /// An image of exactly `bytes`.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        let mut file = new_file();
        file.write_all(bytes.as_ref()).expect("write the image");
        Self { path: file.into_temp_path() }
    }

    /// An image of `len` zero bytes, which takes no space.
    pub fn sparse(len: u64) -> Self {
        let file = new_file();
        file.as_file().set_len(len).expect("set the length of the image");
        Self { path: file.into_temp_path() }
    }

    /// What the sector `sector` has in it at first: its number and the offset of each 8 bytes.
    pub fn contents(sector: u64) -> Bytes {
        (0..SECTOR as u64 / 8).flat_map(|word| (sector << 8 | word).to_be_bytes()).collect()
    }

    /// The same image, of the user who is not root.
    pub fn of_ordinary_user(self) -> Self {
        ordinary::give(&self.path).expect("give the image away");
        self
    }

    /// Gives it another length, in bytes: zeroes more, or what was at the end less.
    pub fn set_len(&self, len: u64) {
        let file = fs::File::options().write(true).open(&self.path).expect("open the image");
        file.set_len(len).expect("set the length of the image");
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path beside it, for a second name of the same image or a file that belongs to it.
    pub fn beside(&self, extension: &str) -> PathBuf {
        self.path.with_extension(extension)
    }

    /// What the sector `sector` has in it now.
    pub fn sector(&self, sector: u64) -> Bytes {
        self.sectors(sector, 1)
    }

    /// What `count` sectors from `sector` have in them now.
    pub fn sectors(&self, sector: u64, count: usize) -> Bytes {
        let mut bytes = vec![0; count * SECTOR];
        let file = fs::File::open(&self.path).expect("open the image");
        file.read_exact_at(&mut bytes, sector * SECTOR as u64).expect("read the image");
        bytes.into()
    }

    /// All that it has in it now.
    pub fn bytes(&self) -> Bytes {
        fs::read(&self.path).expect("read the image").into()
    }
}

fn new_file() -> NamedTempFile {
    Builder::new().prefix("disk-").suffix(".img").tempfile().expect("make an image file")
}

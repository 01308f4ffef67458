// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A disk without a file system, all of it written, of which the host sees the space.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// An image in which every 8 bytes say where they are, until somebody changes them.
#[derive(Debug)]
pub struct ScratchDisk {
    path: PathBuf,
}

impl ScratchDisk {
    /// Makes the image at `path`: `len` bytes, which take their space at once.
    ///
    /// # Errors
    /// The image can't be written.
    pub fn create(path: PathBuf, len: u64) -> Result<Self> {
        let act = || format!("make the disk image {}", path.display());
        let mut image = File::create(&path).with_context(act)?;
        for start in (0..len).step_by(BLOCK) {
            image.write_all(&block(start)).with_context(act)?;
        }
        image.sync_all().with_context(act)?;
        Ok(Self { path })
    }

    /// Where the image is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How much space the image takes, in bytes.
    ///
    /// # Errors
    /// It can't be looked at.
    pub fn taken(&self) -> Result<u64> {
        let looked = fs::metadata(&self.path);
        Ok(looked.with_context(|| format!("look at {}", self.path.display()))?.blocks() * 512)
    }

    /// Checks that the `len` bytes from `start`, which are whole blocks of 64 KiB, are as at first.
    ///
    /// # Errors
    /// A block differs, which the error names.
    pub fn expect_untouched(&self, start: u64, len: u64) -> Result<()> {
        self.expect(start, len, block)
    }

    /// Checks that they are zeroes.
    ///
    /// # Errors
    /// A block differs, which the error names.
    pub fn expect_zeroes(&self, start: u64, len: u64) -> Result<()> {
        self.expect(start, len, |_| vec![0; BLOCK])
    }

    fn expect(&self, start: u64, len: u64, expected: impl Fn(u64) -> Vec<u8>) -> Result<()> {
        let act = || format!("read {}", self.path.display());
        let image = File::open(&self.path).with_context(act)?;
        let mut bytes = vec![0; BLOCK];
        for at in (start..start + len).step_by(BLOCK) {
            image.read_exact_at(&mut bytes, at).with_context(act)?;
            ensure!(bytes == expected(at), "the block at {at} of {} differs", self.path.display());
        }
        Ok(())
    }
}

/// The length of a block, in bytes.
const BLOCK: usize = 64 << 10;

/// What is in the block from `start` at first.
fn block(start: u64) -> Vec<u8> {
    (0..BLOCK as u64 / 8).flat_map(|word| (start + 8 * word + 1).to_be_bytes()).collect()
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Opening a disk: what the operator can get wrong about it is said here.

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;

use crate::sys;

use super::size::{self, Size};
use super::{Disk, Identity};

/// Which disk to open, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// A regular file or a block device.
    pub path: PathBuf,
    /// Whether it is only read; it is opened so.
    pub read_only: bool,
    /// The block size in bytes; by default that of a block device, and 512 of a file.
    pub block_size: Option<u32>,
}

/// Why a disk cannot be served: the operator's fault, or the host's.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such file, or it may not be opened so.
    #[error("open disk {path:?} {access}")]
    Open {
        /// The disk.
        path: PathBuf,
        /// How it was to be opened.
        access: &'static str,
        /// What the host says.
        source: io::Error,
    },
    /// The file is of another kind.
    #[error("disk {path:?} is {kind}, not a regular file or a block device")]
    Kind {
        /// The disk.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// The device can be opened for writing, but not written to.
    #[error("open disk {path:?} read-write: the device is read-only")]
    ReadOnlyDevice {
        /// The disk.
        path: PathBuf,
    },
    /// The host does not say what the disk is like.
    #[error("ask for size and blocks of disk {path:?}")]
    Size {
        /// The disk.
        path: PathBuf,
        /// What the host says.
        source: io::Error,
    },
    /// The disk has not even one block.
    #[error("disk {path:?} of {size} bytes holds no block of {block_size} bytes")]
    TooSmall {
        /// The disk.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// Its block size in bytes.
        block_size: u32,
    },
    /// The device's own block size is none that a guest can be offered.
    #[error(
        "disk {path:?} has blocks of {block_size} bytes, not of a power of two from \
         {MIN_BLOCK_SIZE} to {MAX_BLOCK_SIZE}"
    )]
    BlockSize {
        /// The disk.
        path: PathBuf,
        /// Its block size in bytes.
        block_size: u32,
    },
}

/// The least block size, in bytes: a sector.
pub const MIN_BLOCK_SIZE: u32 = 512;

/// The largest block size, in bytes: guests refuse blocks larger than their pages.
pub const MAX_BLOCK_SIZE: u32 = 4096;

/// What the host says about the file.
struct Facts {
    size: u64,
    logical_block_size: u32,
    physical_block_size: u32,
    read_only: bool,
}

impl Disk {
    /// Opens the disk.
    ///
    /// # Errors
    /// The file cannot be opened so, is neither a regular file nor a block device, or is too small.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        let Options { path, read_only, block_size } = options;
        let (file, metadata) = open_file(path, *read_only)?;
        let facts = Facts::ask(&file, &metadata)
            .map_err(|source| OpenError::Size { path: path.clone(), source })?;
        if facts.read_only && !read_only {
            return Err(OpenError::ReadOnlyDevice { path: path.clone() });
        }
        let block_size = block_size.unwrap_or(facts.logical_block_size);
        if !is_block_size(block_size) {
            return Err(OpenError::BlockSize { path: path.clone(), block_size });
        }
        if facts.size < u64::from(block_size) {
            return Err(OpenError::TooSmall { path: path.clone(), size: facts.size, block_size });
        }
        let size = size::whole_blocks(path, facts.size, block_size);
        Ok(Self {
            file,
            path: path.clone(),
            size: Size::new(size),
            block_size,
            physical_block_size: facts.physical_block_size.clamp(block_size, MAX_BLOCK_SIZE),
            read_only: *read_only,
            identity: Identity::of(&metadata),
            flushes: RwLock::new(()),
            flush_failed: AtomicBool::new(false),
        })
    }
}

/// Whether blocks can have this size, in bytes.
pub fn is_block_size(size: u32) -> bool {
    size.is_power_of_two() && (MIN_BLOCK_SIZE..=MAX_BLOCK_SIZE).contains(&size)
}

fn open_file(path: &Path, read_only: bool) -> Result<(File, Metadata), OpenError> {
    let access = if read_only { "read-only" } else { "read-write" };
    let failed = |source| OpenError::Open { path: path.to_owned(), access, source };
    // Before it is opened: that of a FIFO would wait for a writer, that of a device may act.
    check_kind(path, fs::metadata(path).map_err(failed)?.file_type())?;
    let file = OpenOptions::new().read(true).write(!read_only).open(path).map_err(failed)?;
    // And after: it may have become another one in between.
    let metadata = file.metadata().map_err(failed)?;
    check_kind(path, metadata.file_type())?;
    Ok((file, metadata))
}

fn check_kind(path: &Path, file_type: FileType) -> Result<(), OpenError> {
    let kind = if file_type.is_file() || file_type.is_block_device() {
        return Ok(());
    } else if file_type.is_dir() {
        "a directory"
    } else if file_type.is_char_device() {
        "a character device"
    } else if file_type.is_fifo() {
        "a FIFO"
    } else if file_type.is_socket() {
        "a socket"
    } else {
        "of an unknown kind"
    };
    Err(OpenError::Kind { path: path.to_owned(), kind })
}

impl Facts {
    fn ask(file: &File, metadata: &Metadata) -> io::Result<Self> {
        let size = size::of(file, metadata)?;
        if metadata.file_type().is_block_device() {
            return Ok(Self {
                size,
                logical_block_size: sys::logical_block_size(file.as_fd())?,
                physical_block_size: power_of_two(sys::physical_block_size(file.as_fd())?),
                read_only: sys::is_read_only(file.as_fd())?,
            });
        }
        // What the file system likes to write at once; less makes it read first.
        let preferred = u32::try_from(metadata.blksize()).unwrap_or(MAX_BLOCK_SIZE);
        Ok(Self {
            size,
            logical_block_size: MIN_BLOCK_SIZE,
            physical_block_size: power_of_two(preferred),
            read_only: false,
        })
    }
}

/// `size`, or the least block size in its place if it is not a power of two.
fn power_of_two(size: u32) -> u32 {
    if size.is_power_of_two() { size } else { MIN_BLOCK_SIZE }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn options(path: &Path) -> Options {
        Options { path: path.to_owned(), read_only: false, block_size: None }
    }

    /// A file of `len` bytes in a directory of its own.
    fn image(len: u64) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.img");
        File::create(&path).unwrap().set_len(len).unwrap();
        (dir, path)
    }

    /// The message of why the disk cannot be opened, without the directory it is in.
    fn refusal(options: &Options) -> String {
        let message = Disk::open(options).unwrap_err().to_string();
        let dir = format!("{}/", options.path.parent().unwrap().display());
        message.replace(&dir, "")
    }

    #[test]
    fn file_opens_with_its_size_and_blocks_of_512() {
        let (_dir, path) = image(8192);
        let disk = Disk::open(&options(&path)).unwrap();
        assert_eq!((disk.size(), disk.block_size(), disk.is_read_only()), (8192, 512, false));
    }

    #[test]
    fn end_of_a_file_that_is_not_a_whole_block_is_left_out() {
        let (_dir, path) = image(8192 + 4095);
        let disk = Disk::open(&Options { block_size: Some(4096), ..options(&path) }).unwrap();
        assert_eq!((disk.size(), disk.block_size()), (8192, 4096));
        let disk = Disk::open(&options(&path)).unwrap();
        assert_eq!(disk.size(), 8192 + 3584);
    }

    #[test]
    fn physical_block_is_at_least_a_block() {
        let (_dir, path) = image(8192);
        let disk = Disk::open(&Options { block_size: Some(4096), ..options(&path) }).unwrap();
        assert_eq!(disk.physical_block_size(), 4096);
    }

    #[test]
    fn missing_file_is_refused() {
        let (_dir, path) = image(512);
        let path = path.with_file_name("other.img");
        assert_eq!(refusal(&options(&path)), "open disk \"other.img\" read-write");
        let read_only = Options { read_only: true, ..options(&path) };
        assert_eq!(refusal(&read_only), "open disk \"other.img\" read-only");
    }

    #[test]
    fn empty_and_tiny_files_are_refused() {
        let (_dir, path) = image(0);
        let message = "disk \"disk.img\" of 0 bytes holds no block of 512 bytes";
        assert_eq!(refusal(&options(&path)), message);
        let (_dir, path) = image(4095);
        let message = "disk \"disk.img\" of 4095 bytes holds no block of 4096 bytes";
        let options = Options { block_size: Some(4096), ..options(&path) };
        assert_eq!(refusal(&options), message);
    }

    #[test]
    fn other_kinds_of_file_are_refused_without_a_wait() {
        let (dir, path) = image(512);
        let socket = path.with_file_name("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let cases = [
            (dir.path(), "a directory"),
            (Path::new("/dev/null"), "a character device"),
            (&socket, "a socket"),
        ];
        for (path, kind) in cases {
            let message = Disk::open(&options(path)).unwrap_err().to_string();
            let expected = format!("disk {path:?} is {kind}, not a regular file or a block device");
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn block_size_of_a_device_that_guests_refuse_is_refused() {
        let (_dir, path) = image(8192);
        for block_size in [0, 256, 520, 8192] {
            let options = Options { block_size: Some(block_size), ..options(&path) };
            let message = format!(
                "disk \"disk.img\" has blocks of {block_size} bytes, \
                 not of a power of two from 512 to 4096"
            );
            assert_eq!(refusal(&options), message);
        }
    }
}

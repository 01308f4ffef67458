// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Opening a disk: what the operator can get wrong about it is said here.

mod error;

pub use error::OpenError;

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use vhost_user_device::{Access, HostFile};

use crate::sys::{self, DirectAlignment};

use super::events::Events;
use super::limits::Limits;
use super::lock::{self, Claim, LockError};
use super::options::MAX_BLOCK_SIZE;
use super::options::{Cache, ImageLock, Options, Source, is_block_size};
use super::size::{self, Size};
use super::{Disk, Doubts, Identity, Medium, QueueFiles, direct};

impl Disk {
    /// Opens the disk, and locks it.
    ///
    /// # Errors
    /// The file cannot be opened so, is neither a regular file nor a block device, is too small, or
    /// is another process's.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        match &options.source {
            Source::Path(path) => Self::of_path(path, options),
            Source::Null(size) => Self::new(options, Found::nothing(*size), Medium::Nothing),
            &Source::Memory(size) => {
                let memory = sys::memory_file()
                    .and_then(|file| file.set_len(size).map(|()| file))
                    .map_err(|source| OpenError::Memory { size, source })?;
                let memory = Arc::new(HostFile::new(memory, Access::Memory));
                Self::new(options, Found::memory(size), Medium::Memory(memory))
            }
        }
    }

    fn of_path(path: &Path, options: &Options) -> Result<Self, OpenError> {
        let Options { read_only, cache, num_queues, .. } = *options;
        let (file, metadata) = open_file(path, read_only)?;
        // Before the size is asked for, so that no change is missed.
        let events = listen(path, &metadata);
        let claim = lock_file(path, &file, options)?;
        let unknown = |source| OpenError::Size { path: path.to_owned(), source };
        let limits = Limits::ask(&file, &metadata).map_err(unknown)?;
        let is_device = metadata.file_type().is_block_device();
        if is_device && !read_only && sys::is_read_only(file.as_fd()).map_err(unknown)? {
            return Err(OpenError::ReadOnlyDevice { path: path.to_owned() });
        }
        let direct = match cache {
            Cache::None => Some(open_direct(path, options)?),
            Cache::Auto => open_direct(path, options).map_err(|error| say_cached(&error)).ok(),
            Cache::Writeback | Cache::Writethrough | Cache::Unsafe => None,
        };
        // What is in memory anyway need not be asked whether it is.
        let in_memory = sys::is_in_memory(file.as_fd()).unwrap_or(false);
        let cached = if in_memory { Access::Memory } else { Access::Cached };
        let access = direct.map_or(cached, access);
        let files = (0..num_queues).map(|_| {
            let again = |access| open_again(path, read_only, access, &metadata);
            let files = QueueFiles { data: again(access)?, sync: again(Access::Cached)? };
            if let Some(claim) = claim {
                let refused = |source| OpenError::Lock { path: path.to_owned(), source };
                claim.share(files.data.file()).map_err(refused)?;
            }
            Ok(files)
        });
        let found = Found {
            size: size::of(&file, &metadata).map_err(unknown)?,
            limits,
            least_block: direct.map_or(0, |direct| direct.offset),
            identity: Identity::of(&metadata),
        };
        let files = files.collect::<Result<_, _>>()?;
        Self::new(options, found, Medium::File { file, is_device, files, events })
    }

    fn new(options: &Options, found: Found, medium: Medium) -> Result<Self, OpenError> {
        let path = options.source.name();
        let Found { size, limits, least_block, identity } = found;
        let block_size = options.block_size.unwrap_or(limits.block_size.max(least_block));
        if !is_block_size(block_size) {
            return Err(OpenError::BlockSize { path, block_size });
        }
        if size < u64::from(block_size) {
            return Err(OpenError::TooSmall { path, size, block_size });
        }
        let size = size::whole_blocks(&path, size, block_size);
        Ok(Self {
            medium,
            path,
            size: Size::new(size),
            limits: limits.in_blocks_of(block_size),
            read_only: options.read_only,
            cache: options.cache,
            discard: options.discard,
            identity,
            doubts: Doubts::default(),
        })
    }
}

/// What was found out about a disk before it is one.
struct Found {
    /// In bytes.
    size: u64,
    limits: Limits,
    /// The least block size that it can be written in, in bytes.
    least_block: u32,
    identity: Identity,
}

impl Found {
    fn nothing(size: u64) -> Self {
        Self {
            size,
            limits: Limits::of_file(MAX_BLOCK_SIZE),
            least_block: 0,
            identity: Identity::of_nothing(size),
        }
    }

    fn memory(size: u64) -> Self {
        Self { identity: Identity::of_memory(size), ..Self::nothing(size) }
    }
}

fn open_file(path: &Path, read_only: bool) -> Result<(File, Metadata), OpenError> {
    let failed = |source| open_failed(path, read_only, source);
    // Before it is opened: that of a FIFO would wait for a writer, that of a device may act.
    check_kind(path, fs::metadata(path).map_err(failed)?.file_type())?;
    let file = OpenOptions::new().read(true).write(!read_only).open(path).map_err(failed)?;
    // And after: it may have become another one in between.
    let metadata = file.metadata().map_err(failed)?;
    check_kind(path, metadata.file_type())?;
    Ok((file, metadata))
}

fn open_failed(path: &Path, read_only: bool, source: io::Error) -> OpenError {
    let access = if read_only { "read-only" } else { "read-write" };
    OpenError::Open { path: path.to_owned(), access, source }
}

/// Another description of the file that was opened as `before`.
fn open_again(
    path: &Path,
    read_only: bool,
    access: Access,
    before: &Metadata,
) -> Result<Arc<HostFile>, OpenError> {
    let failed = |source| open_failed(path, read_only, source);
    let mut options = OpenOptions::new();
    options.read(true).write(!read_only);
    if let Access::Direct { .. } = access {
        options.custom_flags(libc::O_DIRECT);
    }
    let file = options.open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if (metadata.dev(), metadata.ino()) != (before.dev(), before.ino()) {
        return Err(OpenError::Replaced { path: path.to_owned() });
    }
    Ok(Arc::new(HostFile::new(file, access)))
}

fn access(alignment: DirectAlignment) -> Access {
    // They are u32, and this is no machine with smaller addresses.
    Access::Direct { memory: alignment.memory as usize, offset: alignment.offset as usize }
}

/// What transfers past the page cache have to be multiples of, if there are some that fit.
fn open_direct(path: &Path, options: &Options) -> Result<DirectAlignment, OpenError> {
    let mut open = OpenOptions::new();
    open.read(true).write(!options.read_only).custom_flags(libc::O_DIRECT);
    let alignment = open
        .open(path)
        .and_then(|file| direct::alignment(&file))
        .map_err(|source| OpenError::Direct { path: path.to_owned(), source })?;
    let least = alignment.offset;
    match options.block_size {
        Some(block_size) if block_size < least => {
            Err(OpenError::DirectBlockSize { path: path.to_owned(), block_size, least })
        }
        _ => Ok(alignment),
    }
}

fn say_cached(error: &OpenError) {
    match error {
        OpenError::Direct { path, source } => {
            log::info!("disk {path:?}: --cache auto is writeback here, without O_DIRECT: {source}");
        }
        error => log::info!("{error}; --cache auto is writeback"),
    }
}

/// Locks the file, and returns what other descriptions of it have to lock, too.
fn lock_file(path: &Path, file: &File, options: &Options) -> Result<Option<Claim>, OpenError> {
    if options.lock == ImageLock::Off {
        return Ok(None);
    }
    let claim = Claim::of(options.read_only);
    let seconds = lock::PATIENCE.as_secs();
    let waiting =
        |what| log::warn!("disk {path:?}: another process {what}; trying for {seconds} s");
    match claim.take(file, lock::PATIENCE, waiting) {
        Ok(()) => Ok(Some(claim)),
        Err(LockError::InUse(what)) => {
            Err(OpenError::InUse { path: path.to_owned(), what, seconds })
        }
        Err(LockError::Unsupported(error)) => {
            log::warn!("lock disk {path:?}: {error}; nothing keeps others from writing to it");
            Ok(None)
        }
        Err(LockError::Host(source)) => Err(OpenError::Lock { path: path.to_owned(), source }),
    }
}

/// Begins to listen for changes of a block device, if it is one.
fn listen(path: &Path, metadata: &Metadata) -> Option<Events> {
    if !metadata.file_type().is_block_device() {
        return None;
    }
    Events::of(metadata.rdev())
        .inspect_err(|error| {
            log::info!("listen for changes of disk {path:?}: {error}; SIGUSR1 tells of them");
        })
        .ok()
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use super::*;

    fn options(path: &Path) -> Options {
        Options { lock: ImageLock::Auto, num_queues: 2, ..Options::of(path) }
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
        let Source::Path(path) = &options.source else { panic!("no path") };
        let dir = format!("{}/", path.parent().unwrap().display());
        message.replace(&dir, "")
    }

    #[test]
    fn file_opens_with_its_size_and_blocks_of_512() {
        let (_dir, path) = image(8192);
        let disk = Disk::open(&options(&path)).unwrap();
        assert_eq!(
            (disk.size(), disk.limits().block_size, disk.is_read_only()),
            (8192, 512, false)
        );
    }

    #[test]
    fn end_of_a_file_that_is_not_a_whole_block_is_left_out() {
        let (_dir, path) = image(8192 + 4095);
        let disk = Disk::open(&Options { block_size: Some(4096), ..options(&path) }).unwrap();
        assert_eq!((disk.size(), disk.limits().block_size), (8192, 4096));
        drop(disk);
        let disk = Disk::open(&options(&path)).unwrap();
        assert_eq!(disk.size(), 8192 + 3584);
    }

    #[test]
    fn physical_block_is_at_least_a_block() {
        let (_dir, path) = image(8192);
        let disk = Disk::open(&Options { block_size: Some(4096), ..options(&path) }).unwrap();
        assert_eq!(disk.limits().physical_block_size, 4096);
    }

    #[test]
    fn disk_without_a_file_has_the_size_that_was_typed() {
        for source in [Source::Null(8192 + 511), Source::Memory(8192 + 511)] {
            let options = Options { source: source.clone(), ..options("".as_ref()) };
            let disk = Disk::open(&options).unwrap();
            assert_eq!((disk.size(), disk.limits().block_size), (8192, 512));
            assert_eq!(disk.files(1).is_some(), source != Source::Null(8192 + 511));
            assert!(disk.changes().is_none() && !disk.refresh());
        }
    }

    #[test]
    fn disk_without_a_file_and_without_a_block_is_refused() {
        for (source, name) in [(Source::Null(511), "null:511"), (Source::Memory(0), "mem:0")] {
            let message = Disk::open(&Options { source, ..options("".as_ref()) }).unwrap_err();
            let size = name.split_once(':').unwrap().1;
            let expected = format!("disk {name:?} of {size} bytes holds no block of 512 bytes");
            assert_eq!(message.to_string(), expected);
        }
    }

    #[test]
    fn each_queue_has_files_of_its_own_and_others_have_none() {
        let (_dir, path) = image(8192);
        let disk = Disk::open(&options(&path)).unwrap();
        let files = [0, 1].map(|queue| disk.files(queue).unwrap());
        assert!(!Arc::ptr_eq(&files[0].data, &files[1].data));
        assert!(!Arc::ptr_eq(&files[0].data, &files[0].sync));
        assert!(disk.files(2).is_none());
    }

    #[test]
    fn file_that_cannot_be_read_past_the_page_cache_is_refused_or_read_through_it() {
        let options = |cache| Options {
            read_only: true,
            cache,
            lock: ImageLock::Off,
            ..options("/proc/self/maps".as_ref())
        };
        let error = Disk::open(&options(Cache::None)).unwrap_err();
        let message = "open disk \"/proc/self/maps\" past the page cache (O_DIRECT); \
                       --cache writeback does without";
        assert_eq!(error.to_string(), message);
        // As far as its size, of which it has none.
        let error = Disk::open(&options(Cache::Auto)).unwrap_err();
        assert!(matches!(error, OpenError::TooSmall { .. }), "{error}");
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

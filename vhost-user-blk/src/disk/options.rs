// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Which disk to serve, and how.

use std::ffi::OsStr;
use std::path::PathBuf;

/// The least block size, in bytes: a sector.
pub const MIN_BLOCK_SIZE: u32 = 512;

/// The largest block size, in bytes: guests refuse blocks larger than their pages.
pub const MAX_BLOCK_SIZE: u32 = 4096;

/// Which disk to open, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What the disk's bytes are kept in.
    pub source: Source,
    /// Whether it is only read; it is opened so.
    pub read_only: bool,
    /// The block size in bytes; by default that of a block device, and 512 of a file, or what
    /// transfers past the page cache need at least.
    pub block_size: Option<u32>,
    /// What happens between a write and stable storage.
    pub cache: Cache,
    /// Whether room that the guest no longer needs is given back to the host.
    pub discard: Discard,
    /// Whether others are kept from the file.
    pub lock: ImageLock,
    /// How many virtqueues there may be.
    pub num_queues: u16,
}

/// What a disk's bytes are kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A regular file or a block device.
    Path(PathBuf),
    /// Nothing: so many bytes that can be written and are never read back.
    Null(u64),
    /// Memory of this process: so many bytes, gone with it.
    Memory(u64),
}

/// What happens between a write and stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// A write is in the host's page cache until a flush.
    Writeback,
    /// A write goes through the host's page cache, and is on stable storage when it is completed.
    Writethrough,
    /// The host's page cache is not used (O_DIRECT); a disk's own cache is, until a flush.
    None,
    /// [`Cache::None`] where that can be had, else [`Cache::Writeback`].
    Auto,
    /// A write is in the host's page cache, and a flush changes nothing about that.
    Unsafe,
}

/// What happens to room that the guest no longer needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// It is given back to the host.
    Unmap,
    /// Nothing; the guest is not offered to say so.
    Ignore,
}

/// Whether others are kept from the file while it is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageLock {
    /// They are, if the file system has locks.
    Auto,
    /// They are not.
    Off,
}

/// What comes after `null:` or `mem:` is no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}: what follows the colon is not a size such as 65536, 64K, 16M, 10G or 2T")]
pub struct SizeError(pub String);

impl Source {
    /// What `--blk-file` means: `null:SIZE`, `mem:SIZE`, or a path.
    ///
    /// # Errors
    /// It begins like one of the first two, but does not go on with a size.
    pub fn parse(typed: &OsStr) -> Result<Self, SizeError> {
        let Some(text) = typed.to_str() else {
            return Ok(Self::Path(typed.into()));
        };
        let size = |size| parse_size(size).ok_or_else(|| SizeError(text.to_owned()));
        match text.split_once(':') {
            Some(("null", bytes)) => size(bytes).map(Self::Null),
            Some(("mem", bytes)) => size(bytes).map(Self::Memory),
            _ => Ok(Self::Path(typed.into())),
        }
    }

    /// The disk's name in messages.
    pub(super) fn name(&self) -> PathBuf {
        match self {
            Self::Path(path) => path.clone(),
            Self::Null(size) => format!("null:{size}").into(),
            Self::Memory(size) => format!("mem:{size}").into(),
        }
    }
}

/// Whether blocks can have this size, in bytes.
pub fn is_block_size(size: u32) -> bool {
    size.is_power_of_two() && (MIN_BLOCK_SIZE..=MAX_BLOCK_SIZE).contains(&size)
}

/// A number of bytes, with a suffix or without, that a file can have.
fn parse_size(text: &str) -> Option<u64> {
    let (digits, unit) = match text.char_indices().next_back()? {
        (at, 'k' | 'K') => (&text[..at], 1 << 10),
        (at, 'm' | 'M') => (&text[..at], 1 << 20),
        (at, 'g' | 'G') => (&text[..at], 1 << 30),
        (at, 't' | 'T') => (&text[..at], 1 << 40),
        _ => (text, 1),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let bytes = digits.parse::<u64>().ok()?.checked_mul(unit)?;
    i64::try_from(bytes).is_ok().then_some(bytes)
}

#[cfg(test)]
impl Options {
    /// A file as it is served if nothing else is said, to one queue.
    pub(crate) fn of(path: &std::path::Path) -> Self {
        Self {
            source: Source::Path(path.to_owned()),
            read_only: false,
            block_size: None,
            cache: Cache::Writeback,
            discard: Discard::Unmap,
            lock: ImageLock::Off,
            num_queues: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(typed: &str) -> Result<Source, SizeError> {
        Source::parse(OsStr::new(typed))
    }

    #[test]
    fn names_with_a_size_are_disks_without_a_file() {
        assert_eq!(parse("null:65536"), Ok(Source::Null(65536)));
        assert_eq!(parse("null:64K"), Ok(Source::Null(64 << 10)));
        assert_eq!(parse("mem:16M"), Ok(Source::Memory(16 << 20)));
        assert_eq!(parse("mem:10g"), Ok(Source::Memory(10 << 30)));
        assert_eq!(parse("null:2T"), Ok(Source::Null(2 << 40)));
    }

    #[test]
    fn everything_else_is_a_path() {
        for path in ["disk.img", "./null:1G", "/srv/mem:1G", "nullable:1G", "null", "a:b"] {
            assert_eq!(parse(path), Ok(Source::Path(path.into())));
        }
    }

    #[test]
    fn name_without_a_size_is_refused() {
        for typed in ["null:", "mem:G", "mem:1X", "null:-1", "null:+1", "null:1 G", "mem:8388608T"]
        {
            let message = format!(
                "{typed:?}: what follows the colon is not a size such as 65536, 64K, 16M, 10G or 2T"
            );
            assert_eq!(parse(typed).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn name_in_messages_is_what_was_typed() {
        for typed in ["null:65536", "mem:512", "/srv/disk.img"] {
            assert_eq!(parse(typed).unwrap().name(), PathBuf::from(typed));
        }
    }
}

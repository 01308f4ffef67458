// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What is true once the options have been judged: always valid, and still without I/O.

use crate::args::{Args, CacheMode, DiscardMode, IoEngine, LockMode};
use crate::disk::{self, Cache, Discard, Identity, ImageLock, MAX_BLOCK_SIZE, MIN_BLOCK_SIZE};
use crate::disk::{SizeError, Source};

/// The length of a serial in bytes, with its padding (virtio 1.3, section 5.2.6).
pub(crate) const SERIAL_LEN: usize = 20;

/// A kind of numbers that an option takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number {
    pub(crate) is_one: fn(u16) -> bool,
    pub(crate) description: &'static str,
}

/// How many virtqueues there can be: vhost-user's messages say a queue's index in eight bits.
pub(crate) const NUM_QUEUES: Number =
    Number { is_one: |number| (1..=256).contains(&number), description: "a number from 1 to 256" };

/// How long virtqueues can be. The shortest holds a request: header, data and status.
pub(crate) const QUEUE_SIZE: Number = Number {
    is_one: |number| number.is_power_of_two() && number >= 4,
    description: "a power of two from 4 to 32768",
};

/// What the device is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Which disk, and how it is opened.
    pub disk: disk::Options,
    /// What waits for it.
    pub engine: IoEngine,
    /// The longest virtqueue, in descriptors: a power of two from 4.
    pub queue_size: u16,
    /// The disk's serial, unless it is to be made of its identity.
    pub serial: Option<Serial>,
}

/// An option's value makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Neither a path nor a disk without a file.
    #[error("--blk-file {0}")]
    BlkFile(SizeError),
    /// Not a number of queues that can be served.
    #[error("--num-queues {0}: not {kind}", kind = NUM_QUEUES.description)]
    NumQueues(u16),
    /// Not a length that a virtqueue can have.
    #[error("--queue-size {0}: not {kind}", kind = QUEUE_SIZE.description)]
    QueueSize(u16),
    /// Not a size that blocks can have.
    #[error("--block-size {0}: not a power of two from {MIN_BLOCK_SIZE} to {MAX_BLOCK_SIZE}")]
    BlockSize(u32),
    /// Too long for the 20 bytes that a driver reads.
    #[error("--serial {0:?}: {len} bytes, but a serial has at most {SERIAL_LEN}", len = .0.len())]
    SerialLength(String),
    /// A guest prints it.
    #[error("--serial {0:?}: not printable ASCII")]
    SerialCharacter(String),
}

impl TryFrom<Args> for Config {
    type Error = ConfigError;

    fn try_from(args: Args) -> Result<Self, ConfigError> {
        let Args {
            blk_file,
            read_only,
            cache,
            io_engine,
            discard,
            image_lock,
            block_size,
            serial,
            num_queues,
            queue_size,
            poll_queue,
            common: _, // the life of the process is not the device's
        } = args;
        if !(NUM_QUEUES.is_one)(num_queues) {
            return Err(ConfigError::NumQueues(num_queues));
        }
        if !(QUEUE_SIZE.is_one)(queue_size) {
            return Err(ConfigError::QueueSize(queue_size));
        }
        if let Some(size) = block_size.filter(|size| !disk::is_block_size(*size)) {
            return Err(ConfigError::BlockSize(size));
        }
        if poll_queue {
            log::info!("--block-backend: poll_queue= has no effect here; --poll-us does that");
        }
        let disk = disk::Options {
            source: Source::parse(blk_file.as_os_str()).map_err(ConfigError::BlkFile)?,
            read_only,
            block_size,
            cache: cache.into(),
            discard: discard.into(),
            lock: image_lock.into(),
            num_queues,
        };
        Ok(Self {
            disk,
            engine: io_engine,
            queue_size,
            serial: serial.map(Serial::parse).transpose()?,
        })
    }
}

impl From<CacheMode> for Cache {
    fn from(mode: CacheMode) -> Self {
        match mode {
            CacheMode::Writeback => Self::Writeback,
            CacheMode::Writethrough => Self::Writethrough,
            CacheMode::None => Self::None,
            CacheMode::Auto => Self::Auto,
            CacheMode::Unsafe => Self::Unsafe,
        }
    }
}

impl From<DiscardMode> for Discard {
    fn from(mode: DiscardMode) -> Self {
        match mode {
            DiscardMode::Unmap => Self::Unmap,
            DiscardMode::Ignore => Self::Ignore,
        }
    }
}

impl From<LockMode> for ImageLock {
    fn from(mode: LockMode) -> Self {
        match mode {
            LockMode::Auto => Self::Auto,
            LockMode::Off => Self::Off,
        }
    }
}

/// What a guest knows a disk by: at most 20 bytes of printable ASCII, padded with zeroes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serial([u8; SERIAL_LEN]);

impl Serial {
    /// The serial that the operator chose.
    ///
    /// # Errors
    /// It is too long or not printable.
    pub fn parse(text: String) -> Result<Self, ConfigError> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return Err(ConfigError::SerialCharacter(text));
        }
        let mut bytes = [0; SERIAL_LEN];
        let Some(used) = bytes.get_mut(..text.len()) else {
            return Err(ConfigError::SerialLength(text));
        };
        used.copy_from_slice(text.as_bytes());
        Ok(Self(bytes))
    }

    /// The serial of a disk for which the operator chose none: `vub-` and its identity.
    pub fn of(identity: Identity) -> Self {
        let mut bytes = [0; SERIAL_LEN];
        let text = format!("vub-{identity}");
        for (byte, character) in bytes.iter_mut().zip(text.bytes()) {
            *byte = character;
        }
        Self(bytes)
    }

    /// The serial as a driver reads it.
    pub fn bytes(&self) -> &[u8; SERIAL_LEN] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn config(args: &[&str]) -> Result<Config, ConfigError> {
        let args = [&["vhost-user-blk", "-s/s", "--blk-file=/disk.img"], args].concat();
        Config::try_from(Args::try_parse_from(args).unwrap())
    }

    fn refusal(option: &str) -> String {
        config(&[option]).unwrap_err().to_string()
    }

    #[test]
    fn options_become_the_config() {
        let config = config(&[
            "--read-only",
            "--num-queues=256",
            "--queue-size=32768",
            "--block-size=4096",
            "--serial=abc",
            "--cache=none",
            "--io-engine=sync",
            "--discard=ignore",
            "--image-lock=off",
        ]);
        let expected = Config {
            disk: disk::Options {
                source: Source::Path("/disk.img".into()),
                read_only: true,
                block_size: Some(4096),
                cache: Cache::None,
                discard: Discard::Ignore,
                lock: ImageLock::Off,
                num_queues: 256,
            },
            engine: IoEngine::Sync,
            queue_size: 32768,
            serial: Some(Serial(*b"abc\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")),
        };
        assert_eq!(config, Ok(expected));
    }

    #[test]
    fn disk_without_a_file_is_told_from_a_path() {
        let source = |typed| {
            let args = Args::try_parse_from(["vhost-user-blk", "-s/s", "-b", typed]).unwrap();
            Config::try_from(args).map(|config| config.disk.source)
        };
        assert_eq!(source("null:64G"), Ok(Source::Null(64 << 30)));
        assert_eq!(source("mem:1M"), Ok(Source::Memory(1 << 20)));
        let message = "--blk-file \"mem:1Q\": what follows the colon is not a size such as 65536, \
            64K, 16M, 10G or 2T";
        assert_eq!(source("mem:1Q").unwrap_err().to_string(), message);
    }

    #[test]
    fn serial_is_left_open_by_default() {
        assert_eq!(config(&[]).unwrap().serial, None);
    }

    #[test]
    fn number_of_queues_out_of_range_is_refused() {
        for number in [0, 257, 65535] {
            let message = format!("--num-queues {number}: not a number from 1 to 256");
            assert_eq!(refusal(&format!("--num-queues={number}")), message);
        }
    }

    #[test]
    fn queue_size_that_is_no_power_of_two_or_too_small_is_refused() {
        for size in [0, 1, 2, 3, 1000, 1025, 65535] {
            let message = format!("--queue-size {size}: not a power of two from 4 to 32768");
            assert_eq!(refusal(&format!("--queue-size={size}")), message);
        }
    }

    #[test]
    fn block_size_that_guests_refuse_is_refused() {
        for size in [0, 1, 256, 513, 8192, u32::MAX] {
            let message = format!("--block-size {size}: not a power of two from 512 to 4096");
            assert_eq!(refusal(&format!("--block-size={size}")), message);
        }
    }

    #[test]
    fn serial_of_20_bytes_is_taken_whole() {
        let serial = config(&["--serial=12345678901234567890"]).unwrap().serial.unwrap();
        assert_eq!(serial.bytes(), b"12345678901234567890");
    }

    #[test]
    fn serial_of_21_bytes_is_refused() {
        assert_eq!(
            refusal("--serial=123456789012345678901"),
            "--serial \"123456789012345678901\": 21 bytes, but a serial has at most 20"
        );
    }

    #[test]
    fn serial_that_is_not_printable_is_refused() {
        assert_eq!(refusal("--serial=a\nb"), "--serial \"a\\nb\": not printable ASCII");
        assert_eq!(refusal("--serial=ä"), "--serial \"ä\": not printable ASCII");
    }
}

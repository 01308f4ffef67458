// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the user typed.
//!
//! What of it is possible, and what it then means, is said in [`crate::config`].

use std::path::PathBuf;

use clap::{ArgMatches, CommandFactory, FromArgMatches};
use vhost_user_daemon::{Capabilities, CommonArgs};

use crate::block_backend::BlockBackend;

/// What `--print-capabilities` prints: the options among them are taken below.
pub const CAPABILITIES: Capabilities =
    Capabilities { device_type: "block", features: &["read-only", "blk-file"] };

/// What the user typed, in whichever of the two ways there are to say it.
#[derive(Clone, Debug)]
pub struct Args {
    /// `--blk-file`, not parsed.
    pub blk_file: PathBuf,
    /// `--read-only`.
    pub read_only: bool,
    /// `--cache`.
    pub cache: CacheMode,
    /// `--io-engine`.
    pub io_engine: IoEngine,
    /// `--discard`.
    pub discard: DiscardMode,
    /// `--image-lock`.
    pub image_lock: LockMode,
    /// `--block-size`, in bytes.
    pub block_size: Option<u32>,
    /// `--serial`.
    pub serial: Option<String>,
    /// `--num-queues`.
    pub num_queues: u16,
    /// `--queue-size`, in descriptors.
    pub queue_size: u16,
    /// Polling was asked for in a way that has no effect.
    pub poll_queue: bool,
    /// What every daemon has: socket, log, process.
    pub common: CommonArgs,
}

/// Serve a disk image or a block device to a virtual machine as its virtio block device.
///
/// A VMM such as QEMU connects to the socket, shares its guest's memory, and this process serves
/// the requests of the guest's driver from the disk.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "vhost-user-blk", version)]
struct Typed {
    /// Serve the regular file or the block device PATH; or, without a file, `null:SIZE` (nothing
    /// is kept) or `mem:SIZE` (kept in memory until the end), with a SIZE such as 64M or 10G.
    #[arg(
        short,
        long,
        value_name = "PATH",
        help_heading = "Disk",
        required_unless_present = "block_backend"
    )]
    blk_file: Option<PathBuf>,

    /// Open the disk read-only; the guest is told, and its writes fail.
    #[arg(short, long, help_heading = "Disk")]
    read_only: bool,

    /// What happens between a write and stable storage.
    #[arg(
        long,
        value_name = "MODE",
        value_enum,
        default_value_t = CacheMode::Writeback,
        help_heading = "Disk"
    )]
    cache: CacheMode,

    /// What waits for the disk: an io_uring for each queue, threads (sync), or what can be had.
    #[arg(
        long,
        value_name = "ENGINE",
        value_enum,
        default_value_t = IoEngine::Auto,
        help_heading = "Disk"
    )]
    io_engine: IoEngine,

    /// Give what the guest discards back to the host, or do not offer it to.
    #[arg(
        long,
        value_name = "MODE",
        value_enum,
        default_value_t = DiscardMode::Unmap,
        help_heading = "Disk"
    )]
    discard: DiscardMode,

    /// Keep others from the disk's file while it is served, by QEMU's locks, or do not.
    #[arg(
        long,
        value_name = "MODE",
        value_enum,
        default_value_t = LockMode::Auto,
        help_heading = "Disk"
    )]
    image_lock: LockMode,

    /// Tell the guest that blocks have BYTES: 512, 1024, 2048 or 4096 [default: that of a block
    /// device, 512 of a file, or what can be written past the page cache].
    #[arg(long, value_name = "BYTES", help_heading = "Disk")]
    block_size: Option<u32>,

    /// Tell the guest that the disk's serial is TEXT: at most 20 printable ASCII characters
    /// [default: made of the identity of the file or device].
    #[arg(long, value_name = "TEXT", help_heading = "Disk")]
    serial: Option<String>,

    /// Serve at most N virtqueues, 1 to 256.
    #[arg(long, value_name = "N", default_value_t = 64, help_heading = "Queues")]
    num_queues: u16,

    /// Serve virtqueues of at most N descriptors, a power of two from 4 to 32768.
    #[arg(long, value_name = "N", default_value_t = 1024, help_heading = "Queues")]
    queue_size: u16,

    /// Disk, socket and queues as Cloud Hypervisor's back end has them: path=PATH,socket=PATH and any
    /// of num_queues=N, queue_size=N, readonly=true, direct=true, with commas between them.
    #[arg(
        long,
        value_name = "SETTINGS",
        help_heading = "Disk",
        conflicts_with_all = [
            "blk_file", "read_only", "cache", "num_queues", "queue_size", "socket_path", "fd",
            "connect",
        ]
    )]
    block_backend: Option<BlockBackend>,

    /// What every daemon has: socket, log, process.
    #[command(flatten)]
    common: CommonArgs,
}

/// What happens between a write and stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CacheMode {
    /// A write is in the host's page cache until a flush.
    Writeback,
    /// A write goes through the page cache to stable storage before it is completed.
    Writethrough,
    /// The page cache is left out (O_DIRECT).
    None,
    /// Like none where that can be had, else like writeback.
    Auto,
    /// Flushes do nothing: for a disk that may be lost with the host.
    Unsafe,
}

/// What waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum IoEngine {
    /// An io_uring if the host allows it, else threads.
    Auto,
    /// An io_uring for each queue.
    #[value(name = "io_uring")]
    IoUring,
    /// A few threads.
    Sync,
}

/// What happens to what the guest discards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DiscardMode {
    /// The host gets the room back.
    Unmap,
    /// The guest is not offered to.
    Ignore,
}

/// Whether others are kept from the disk's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LockMode {
    /// They are, if the file system has locks.
    Auto,
    /// They are not.
    Off,
}

impl From<Typed> for Args {
    fn from(typed: Typed) -> Self {
        let Typed {
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
            block_backend,
            common,
        } = typed;
        let args = Self {
            blk_file: blk_file.unwrap_or_default(),
            read_only,
            cache,
            io_engine,
            discard,
            image_lock,
            block_size,
            serial,
            num_queues,
            queue_size,
            poll_queue: false,
            common,
        };
        match block_backend {
            Some(settings) => args.with(settings),
            None => args,
        }
    }
}

impl Args {
    /// The same with what one option says instead of many.
    fn with(self, settings: BlockBackend) -> Self {
        let BlockBackend { path, socket, num_queues, queue_size, readonly, direct, poll_queue } =
            settings;
        let mut common = self.common;
        common.socket_path = Some(socket);
        Self {
            blk_file: path,
            read_only: readonly,
            cache: if direct { CacheMode::None } else { self.cache },
            num_queues,
            queue_size,
            poll_queue,
            common,
            ..self
        }
    }
}

impl clap::Parser for Args {}

impl CommandFactory for Args {
    fn command() -> clap::Command {
        Typed::command()
    }

    fn command_for_update() -> clap::Command {
        Typed::command_for_update()
    }
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Typed::from_arg_matches(matches).map(Self::from)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["vhost-user-blk"], args].concat())
    }

    #[test]
    fn definition_checked_by_clap_holds() {
        Args::command().debug_assert();
    }

    #[test]
    fn options_of_the_back_end_conventions_are_taken() {
        let args = parse(&["--socket-path=/s", "--blk-file=/disk.img", "--read-only"]).unwrap();
        assert_eq!(args.blk_file, Path::new("/disk.img"));
        assert!(args.read_only);
    }

    #[test]
    fn short_flags_mean_what_qemus_own_back_end_means() {
        let args = parse(&["-s", "/s", "-b", "/disk.img", "-r"]).unwrap();
        assert_eq!(args.blk_file, Path::new("/disk.img"));
        assert!(args.read_only);
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let args = parse(&["-s/s", "-b/disk.img"]).unwrap();
        assert_eq!((args.num_queues, args.queue_size), (64, 1024));
        assert_eq!((args.block_size, args.serial), (None, None));
        assert!(!args.read_only);
        assert_eq!((args.cache, args.io_engine), (CacheMode::Writeback, IoEngine::Auto));
        assert_eq!((args.discard, args.image_lock), (DiscardMode::Unmap, LockMode::Auto));
    }

    #[test]
    fn modes_are_called_what_the_documentation_calls_them() {
        for (option, names) in [
            ("cache", &["writeback", "writethrough", "none", "auto", "unsafe"][..]),
            ("io-engine", &["auto", "io_uring", "sync"]),
            ("discard", &["unmap", "ignore"]),
            ("image-lock", &["auto", "off"]),
        ] {
            for name in names {
                parse(&["-s/s", "-b/disk.img", &format!("--{option}={name}")]).unwrap();
            }
        }
        let args = parse(&["-b/d", "--cache=none", "--io-engine=io_uring"]).unwrap();
        assert_eq!((args.cache, args.io_engine), (CacheMode::None, IoEngine::IoUring));
    }

    #[test]
    fn block_backend_is_another_way_to_say_it() {
        let settings = "path=/disk.img,socket=/s,num_queues=4,queue_size=256,readonly=true,\
            direct=true,poll_queue=false";
        let args = parse(&["--block-backend", settings, "--serial=abc"]).unwrap();
        assert_eq!(args.blk_file, Path::new("/disk.img"));
        assert_eq!(args.common.socket_path.as_deref(), Some(Path::new("/s")));
        assert_eq!((args.num_queues, args.queue_size), (4, 256));
        assert_eq!((args.read_only, args.cache), (true, CacheMode::None));
        assert_eq!((args.poll_queue, args.serial.as_deref()), (true, Some("abc")));
    }

    #[test]
    fn block_backend_without_its_options_has_cloud_hypervisors_defaults() {
        let args = parse(&["--block-backend", "path=/disk.img,socket=/s"]).unwrap();
        assert_eq!((args.num_queues, args.queue_size), (1, 128));
        assert_eq!((args.read_only, args.cache), (false, CacheMode::Writeback));
    }

    #[test]
    fn block_backend_beside_what_it_says_is_refused() {
        for other in [
            "--blk-file=/d",
            "--read-only",
            "--cache=none",
            "--num-queues=1",
            "--queue-size=128",
            "--socket-path=/t",
            "--fd=3",
            "--connect=/t",
        ] {
            let error = parse(&["--block-backend=path=/d,socket=/s", other]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{other}");
        }
    }

    #[test]
    fn block_backend_that_makes_no_sense_is_refused_with_the_reason() {
        let error = parse(&["--block-backend=path=/d"]).unwrap_err().to_string();
        assert!(
            error.contains("--block-backend") && error.contains("socket= is missing"),
            "{error}"
        );
    }

    #[test]
    fn disk_left_out_is_asked_for() {
        let error = parse(&["-s/s"]).unwrap_err().to_string();
        assert!(error.contains("--blk-file <PATH>"), "{error}");
    }

    #[test]
    fn empty_path_of_a_disk_is_refused() {
        let error = parse(&["-s/s", "--blk-file="]).unwrap_err().to_string();
        assert!(error.contains("'--blk-file <PATH>'"), "{error}");
    }

    #[test]
    fn number_out_of_all_ranges_is_refused_with_the_option() {
        let error = parse(&["-b/disk.img", "--num-queues=65536"]).unwrap_err().to_string();
        assert!(error.contains("'65536' for '--num-queues <N>'"), "{error}");
    }
}

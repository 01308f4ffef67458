// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the user typed.
//!
//! What of it is possible, and what it then means, is said in [`crate::config`].

use std::path::PathBuf;

use vhost_user_daemon::CommonArgs;

/// Serve a disk image or a block device to a virtual machine as its virtio block device.
///
/// A VMM such as QEMU connects to the socket, shares its guest's memory, and this process serves
/// the requests of the guest's driver from the disk.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "vhost-user-blk", version)]
pub struct Args {
    /// Serve the regular file or the block device PATH.
    #[arg(short, long, value_name = "PATH", help_heading = "Disk")]
    pub blk_file: PathBuf,

    /// Open the disk read-only; the guest is told, and its writes fail.
    #[arg(short, long, help_heading = "Disk")]
    pub read_only: bool,

    /// Tell the guest that blocks have BYTES: 512, 1024, 2048 or 4096 [default: that of a block
    /// device, 512 of a file].
    #[arg(long, value_name = "BYTES", help_heading = "Disk")]
    pub block_size: Option<u32>,

    /// Tell the guest that the disk's serial is TEXT: at most 20 printable ASCII characters
    /// [default: made of the identity of the file or device].
    #[arg(long, value_name = "TEXT", help_heading = "Disk")]
    pub serial: Option<String>,

    /// Serve at most N virtqueues, 1 to 256.
    #[arg(long, value_name = "N", default_value_t = 64, help_heading = "Queues")]
    pub num_queues: u16,

    /// Serve virtqueues of at most N descriptors, a power of two from 4 to 32768.
    #[arg(long, value_name = "N", default_value_t = 1024, help_heading = "Queues")]
    pub queue_size: u16,

    /// What every daemon has: socket, log, process.
    #[command(flatten)]
    pub common: CommonArgs,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::{CommandFactory, Parser};

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

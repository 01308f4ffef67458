// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Memory and sectors that do not fit what O_DIRECT wants, and blocks that are longer than sectors:
//! what is read is right, what is written is there and nowhere else, or it is refused.

use std::path::Path;

use vhost_user_tests::daemon::Launch;
use vhost_user_tests::prelude::*;
use vhost_user_tests::requires;

mod blocks;
mod lost;
mod memory;
mod sizes;

/// How many sectors the disks have.
const SECTORS: u64 = 128;

/// What bypasses the page cache: a file, and a block device with sectors of 4096 bytes.
struct Direct {
    image: Image,
    device: Option<requires::LoopDevice>,
}

impl Direct {
    /// A file.
    fn file() -> Option<Self> {
        let image = Image::of_sectors(SECTORS);
        requires::direct_io(image.path()).then_some(Self { image, device: None })
    }

    /// A block device whose sectors have 4096 bytes.
    fn large_sectors() -> Option<Self> {
        let image = Image::of_sectors(SECTORS);
        let device = requires::loop_device_with_sectors(image.path(), 4096)?;
        Some(Self { image, device: Some(device) })
    }

    fn path(&self) -> &Path {
        self.device.as_ref().map_or(self.image.path(), |device| device.path())
    }

    /// A daemon for it, about to start.
    fn launch(&self, engine: &str) -> Launch {
        let launch = Daemon::blk().arg("--blk-file").arg(self.path());
        launch.args(["--cache", "none", "--io-engine", engine])
    }
}

/// What a sector has when it was written in the round `round`.
fn written(round: u64, sector: u64) -> Bytes {
    Image::contents(round * 1000 + sector)
}

/// What `count` sectors from `sector` have then.
fn all_written(round: u64, sector: u64, count: u64) -> Bytes {
    (sector..sector + count).flat_map(|sector| written(round, sector)).collect()
}

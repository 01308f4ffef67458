// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! DISCARD and WRITE_ZEROES: space that is given back, zeroes that take none, and what is refused.

use std::os::unix::fs::MetadataExt;

use vhost_user_tests::prelude::*;

mod block_device;
mod limits;
mod refused;
mod space;
mod unsupported;

const FEATURES: u64 = USUAL | DISCARD | WRITE_ZEROES;

/// A range that is far from everything else, and what is around it: 4 MiB in the middle of 12.
const SECTORS: u64 = 24 * 1024;
const FIRST: u64 = 8 * 1024;
const COUNT: u32 = 8 * 1024;

/// A disk of [`SECTORS`] that are all written, and on the host's storage.
fn filled(arguments: &[&str], features: u64) -> Served {
    let image = Image::of_sectors(SECTORS);
    let file = std::fs::File::open(image.path()).expect("open the image");
    file.sync_all().expect("have the image take its space");
    let launch = Daemon::blk().image(&image).args(arguments);
    let Driven { disk, frontend, daemon } = Driven::start(launch, features);
    Served { disk, frontend, daemon, image }
}

/// How much space the image takes, in bytes.
fn taken(image: &Image) -> u64 {
    std::fs::metadata(image.path()).expect("look at the image").blocks() * 512
}

/// The range from [`FIRST`] is zeroes, for the driver and in the image, and all else is as it was.
#[track_caller]
fn expect_zeroes_there_alone(it: &mut Served) {
    let mut expected = (0..SECTORS).flat_map(Image::contents).collect::<Vec<u8>>();
    let bytes = |sectors: u64| usize::try_from(sectors).expect("a length in memory") * SECTOR;
    let (first, count) = (bytes(FIRST), bytes(COUNT.into()));
    expected[first..first + count].fill(0);
    assert!(it.image.bytes() == expected, "the image has something else in it");
    assert_eq!(it.disk.read(FIRST, 64), Ok(vec![0; 64 * SECTOR].into()));
    assert_eq!(it.disk.read(FIRST - 1, 1), Ok(Image::contents(FIRST - 1)));
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A block device of the host, whose space is a file's.

use std::fs;
use std::os::unix::fs::MetadataExt;

use vhost_user_tests::prelude::*;
use vhost_user_tests::requires;

use crate::{COUNT, FEATURES, FIRST, SECTORS};

on_each_engine!(block_device_is_discarded_and_zeroed);

fn block_device_is_discarded_and_zeroed(engine: &str) {
    let image = Image::of_sectors(SECTORS);
    let Some(device) = requires::loop_device(image.path()) else { return };
    let launch = Daemon::blk().arg("--blk-file").arg(device.path()).args(["--io-engine", engine]);
    let mut it = Driven::start(launch, FEATURES);
    let taken = || fs::metadata(image.path()).expect("look at the image").blocks() * 512;
    assert_eq!(it.disk.flush(), Ok(()));
    let before = taken();
    assert_eq!(it.disk.discard(Extent::new(FIRST, COUNT)), Ok(()));
    let (after, discarded) = (taken(), u64::from(COUNT) * 512);
    assert!(after + discarded * 9 / 10 <= before, "{after} bytes, {before} before");
    assert_eq!(it.disk.read(FIRST - 1, 1), Ok(Image::contents(FIRST - 1)));
    assert_eq!(it.disk.read(FIRST, 8), Ok(vec![0; 8 * SECTOR].into()));
    for flags in [0, UNMAP] {
        assert_eq!(it.disk.write(0, &Image::contents(99)), Ok(()));
        assert_eq!(it.disk.write_zeroes(Extent::new(0, 8).flags(flags)), Ok(()));
        assert_eq!(it.disk.read(0, 8), Ok(vec![0; 8 * SECTOR].into()));
    }
    assert_eq!(it.disk.read(8, 1), Ok(Image::contents(8)));
    let granularity = it.frontend.blk_config().discard_sector_alignment;
    let name = device.path().file_name().expect("the name of a block device");
    let told = format!("/sys/block/{}/queue/discard_granularity", name.display());
    let told = fs::read_to_string(told).expect("the granularity of a block device");
    assert_eq!(told.trim().parse(), Ok(granularity * 512));
}

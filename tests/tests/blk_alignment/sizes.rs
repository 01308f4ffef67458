// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Files that end within a block.

use vhost_user_tests::prelude::*;
use vhost_user_tests::requires;

on_each_engine!(
    file_that_ends_within_a_block_is_served_without_the_rest,
    file_that_ends_within_a_sector_is_served_without_the_rest,
);

fn file_that_ends_within_a_block_is_served_without_the_rest(engine: &str) {
    let image = Image::of_sectors(19);
    let before = image.bytes();
    for cache in ["none", "writeback"] {
        if cache == "none" && !requires::direct_io(image.path()) {
            continue;
        }
        let launch = Daemon::blk().image(&image).args(["--cache", cache, "--io-engine", engine]);
        let mut it = Driven::start(launch.args(["--block-size", "4096"]), USUAL | BLK_SIZE);
        let said = format!("the last 1536 bytes of disk {:?} are not a whole block", image.path());
        assert!(it.daemon.log().has(&said), "{said}");
        assert_eq!(it.frontend.blk_config().capacity, 16);
        assert_eq!(it.disk.read(15, 1), Ok(image.sector(15)));
        assert_eq!(it.disk.read(16, 1), Err(Status::IoErr));
        assert_eq!(it.disk.write(16, &[7; 8 * SECTOR]), Err(Status::IoErr));
        assert_eq!(it.disk.write(8, &image.sectors(8, 8)), Ok(()));
        assert_eq!(image.bytes(), before);
    }
}

fn file_that_ends_within_a_sector_is_served_without_the_rest(engine: &str) {
    let bytes: Bytes = (0..8).flat_map(Image::contents).collect();
    let image = Image::of([&bytes[..], &[9; 100]].concat());
    if !requires::direct_io(image.path()) {
        return;
    }
    let launch = Daemon::blk().image(&image).args(["--cache", "none", "--io-engine", engine]);
    let mut it = Driven::start(launch, USUAL);
    assert!(it.daemon.log().has("the last 100 bytes"));
    assert_eq!(it.frontend.blk_config().capacity, 8);
    // The block around the last sector reaches beyond the end of the file.
    assert_eq!(it.disk.read(7, 1), Ok(Image::contents(7)));
    assert_eq!(it.disk.write(7, &Image::contents(70)), Ok(()));
    assert_eq!(it.disk.read(7, 1), Ok(Image::contents(70)));
    assert_eq!(it.disk.read(8, 1), Err(Status::IoErr));
    assert_eq!(image.bytes().len(), 8 * SECTOR + 100);
    assert_eq!(image.bytes()[8 * SECTOR..], [9; 100]);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Where requests may lie: the end of the disk, whole sectors, whole blocks, read-only disks.

use vhost_user_tests::prelude::*;

use super::foreign;

#[test]
fn read_past_the_end_is_an_error_and_the_device_lives_on() {
    let mut it = Served::blk();
    for (sector, count) in [(64, 1), (63, 2), (0, 65), (u64::MAX, 1), (1 << 55, 1)] {
        let read = it.disk.read(sector, count);
        assert_eq!(read, Err(Status::IoErr), "{count} sectors from {sector}");
    }
    assert!(it.daemon.log().has("queue 0: read sector 64 + 1 past end 64"));
    assert_eq!(it.disk.read(63, 1), Ok(it.image.sector(63)));
}

#[test]
fn write_past_the_end_changes_nothing() {
    let mut it = Served::blk();
    let before = it.image.bytes();
    for (sector, count) in [(64, 1), (63, 2), (u64::MAX, 1), (1 << 55, 1)] {
        let write = it.disk.write(sector, &foreign(count));
        assert_eq!(write, Err(Status::IoErr), "{count} sectors from {sector}");
    }
    assert_eq!(it.image.bytes(), before);
}

#[test]
fn lengths_that_are_no_whole_sectors_are_errors() {
    let mut it = Served::blk();
    let before = it.image.bytes();
    for len in [1, 100, 511, 513] {
        let read = it.disk.request(&Request::new(0, 0, &[], len));
        assert_eq!(read.status, Err(Status::IoErr), "a read of {len} bytes");
        let write = it.disk.write(0, &vec![7; len]);
        assert_eq!(write, Err(Status::IoErr), "a write of {len} bytes");
    }
    assert!(it.daemon.log().has("queue 0: read 1 bytes: not a multiple of 512"));
    assert_eq!(it.image.bytes(), before);
}

#[test]
fn read_only_disk_refuses_writes_and_offers_no_other() {
    let mut it = Served::blk_with(&["--read-only"], USUAL | RO);
    let before = it.image.bytes();
    assert_eq!(it.disk.write(3, &foreign(1)), Err(Status::IoErr));
    assert!(it.daemon.log().has("queue 0: write sector 3 of a read-only disk"));
    assert_eq!(it.disk.read(3, 1), Ok(it.image.sector(3)));
    assert_eq!(it.image.bytes(), before);
}

#[test]
fn writable_disk_does_not_offer_read_only() {
    assert_eq!(Served::blk().frontend.get_features() & RO, 0);
}

#[test]
fn write_of_half_a_block_is_an_error_and_of_a_whole_one_is_not() {
    let mut it = Served::blk_with(&["--block-size", "4096"], USUAL | BLK_SIZE);
    let before = it.image.bytes();
    assert_eq!(it.disk.write(8, &foreign(4)), Err(Status::IoErr));
    assert_eq!(it.disk.write(4, &foreign(8)), Err(Status::IoErr));
    assert_eq!(it.image.bytes(), before);
    assert_eq!(it.disk.write(8, &foreign(8)), Ok(()));
    assert_eq!(it.image.sectors(8, 8), foreign(8));
}

#[test]
fn image_that_ends_within_a_sector_is_served_without_the_rest() {
    let image = Image::of([&Image::contents(0)[..], &[9; 100]].concat());
    let daemon = Daemon::blk().image(&image).start();
    let mut frontend = Frontend::connect(&daemon).negotiate(USUAL);
    let mut disk = frontend.blk(0, 16);
    assert_eq!(disk.read(0, 1), Ok(Image::contents(0)));
    assert_eq!(disk.read(1, 1), Err(Status::IoErr));
    assert!(daemon.log().has("the last 100 bytes"));
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the driver can reach, before and after.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use vhost_user_tests::prelude::*;

use crate::{foreign, refresh, resize, until_capacity};

#[test]
fn sectors_that_were_added_are_read_and_written_and_those_behind_them_are_not() {
    let mut it = Served::blk();
    let mut other = it.frontend.blk(1, 16);
    it.image.set_len(65536);
    // Nobody has been told of it.
    assert_eq!(it.disk.read(64, 1), Err(Status::IoErr));
    assert_eq!(it.disk.write(64, &foreign(1)), Err(Status::IoErr));
    resize(&it, 128);
    assert_eq!(it.disk.read(64, 64), Ok(vec![0; 64 * SECTOR].into()));
    assert_eq!(it.disk.write(126, &foreign(2)), Ok(()));
    assert_eq!(other.read(126, 2), Ok(foreign(2)), "a queue that was running, too");
    assert_eq!(it.image.sectors(126, 2), foreign(2));
    for (sector, count) in [(128, 1), (127, 2), (u64::MAX, 1)] {
        assert_eq!(other.read(sector, count), Err(Status::IoErr), "{count} from {sector}");
        assert_eq!(it.disk.write(sector, &foreign(2)), Err(Status::IoErr), "2 from {sector}");
    }
    assert_eq!(it.image.bytes().len(), 65536);
}

#[test]
fn sectors_that_were_cut_off_are_errors_and_stay_away() {
    let mut it = Served::blk();
    let mut other = it.frontend.blk(1, 16);
    let before = it.image.sectors(0, 8);
    resize(&it, 8);
    for disk in [&mut it.disk, &mut other] {
        assert_eq!(disk.read(8, 1), Err(Status::IoErr));
        assert_eq!(disk.read(0, 9), Err(Status::IoErr));
        assert_eq!(disk.write(63, &foreign(1)), Err(Status::IoErr));
        assert_eq!(disk.read(0, 8), Ok(before.clone()));
        assert_eq!(disk.flush(), Ok(()));
    }
    for queue in 0..2 {
        assert!(it.daemon.log().has(&format!("queue {queue}: read sector 8 + 1 past end 8")));
    }
    assert_eq!(it.image.bytes(), before);
}

#[test]
fn disk_of_no_sectors_is_served_and_can_grow_again() {
    let mut it = Served::blk();
    resize(&it, 0);
    assert_eq!(it.disk.read(0, 1), Err(Status::IoErr));
    assert_eq!(it.disk.write(0, &foreign(1)), Err(Status::IoErr));
    assert_eq!(it.disk.flush(), Ok(()));
    resize(&it, 4);
    assert_eq!(it.disk.write(3, &foreign(1)), Ok(()));
    assert_eq!(it.image.sector(3), foreign(1));
}

#[test]
fn part_of_a_block_at_the_new_end_is_left_out() {
    let mut it = Served::blk_with(&["--block-size", "4096"], USUAL | BLK_SIZE);
    it.image.set_len(32768 + 4096 + 100);
    refresh(&it.daemon);
    until_capacity(&it.frontend, 72);
    let rest = format!("the last 100 bytes of disk {:?} are not a whole block", it.image.path());
    assert!(it.daemon.log().has(&rest), "{rest}");
    assert_eq!(it.disk.write(64, &foreign(8)), Ok(()));
    assert_eq!(it.disk.write(72, &foreign(8)), Err(Status::IoErr));
    assert_eq!(it.image.bytes().len(), 32768 + 4096 + 100);
}

#[test]
fn read_only_disk_grows_and_stays_read_only() {
    let mut it = Served::blk_with(&["--read-only"], USUAL | RO);
    resize(&it, 128);
    assert_eq!(it.disk.read(127, 1), Ok(vec![0; SECTOR].into()));
    assert_eq!(it.disk.write(127, &foreign(1)), Err(Status::IoErr));
}

#[test]
fn disk_that_is_moved_and_replaced_is_still_the_one_that_was_opened() {
    let mut it = Served::blk();
    let (place, moved) = (it.image.path().to_owned(), it.image.beside("moved"));
    std::fs::rename(&place, &moved).unwrap();
    std::fs::write(&place, [9; 512]).unwrap();
    refresh(&it.daemon);
    assert!(it.daemon.log().has("still has 32768 bytes"));
    assert_eq!(it.disk.read(63, 1), Ok(Image::contents(63)));
    std::fs::rename(&moved, &place).unwrap();
}

#[test]
fn resizing_under_load_fails_only_what_is_beyond_the_end() {
    let mut it = Served::blk();
    let mut others = [1, 2].map(|index| it.frontend.blk(index, 16));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for (mine, disk) in (1..).zip(&mut others) {
            let over = &over;
            scope.spawn(move || {
                let (there, beyond) = reach_over_the_end(disk, mine * 16, over);
                // Both sizes were met, or the load was none.
                assert!(there > 0 && beyond > 0, "{there} reads succeeded, {beyond} failed");
            });
        }
        for _ in 0..200 {
            resize(&it, 128);
            resize(&it, 64);
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(it.image.bytes().len(), 32768);
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
}

/// Writes a sector that is always there, and reads one 64 sectors behind it that is there at times;
/// how often it was and how often it wasn't.
fn reach_over_the_end(disk: &mut BlkQueue, sector: u64, over: &AtomicBool) -> (u64, u64) {
    let (mut there, mut beyond) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        let new = Image::contents(1000 + there + beyond);
        assert_eq!(disk.write(sector, &new), Ok(()));
        assert_eq!(disk.read(sector, 1), Ok(new));
        match disk.read(sector + 64, 1) {
            Ok(bytes) => {
                assert_eq!(bytes, [0; SECTOR]);
                there += 1;
            }
            Err(status) => {
                assert_eq!(status, Status::IoErr);
                beyond += 1;
            }
        }
    }
    (there, beyond)
}

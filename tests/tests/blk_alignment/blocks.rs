// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Requests that do not begin or end with a block: reads are widened, writes are refused.

use std::thread;

use vhost_user_tests::daemon::Launch;
use vhost_user_tests::prelude::*;

use crate::{Direct, SECTORS, all_written};

on_each_engine!(
    reads_of_any_sectors_of_a_file_with_large_blocks_are_right,
    reads_of_any_sectors_of_a_device_with_large_sectors_are_right,
    writes_of_part_of_a_block_are_refused_and_change_nothing,
    overlapping_writes_of_two_queues_change_whole_blocks_or_nothing,
);

/// What begins and ends with a block, within one, and both.
const PLACES: [(u64, usize); 10] =
    [(0, 1), (1, 1), (7, 1), (7, 2), (3, 13), (8, 8), (9, 7), (5, 30), (0, 128), (127, 1)];

#[track_caller]
fn expect_reads(launch: Launch) {
    let mut it = Driven::start(launch, USUAL | BLK_SIZE);
    assert_eq!(it.frontend.blk_config().blk_size, 4096);
    for (sector, count) in PLACES {
        let expected = (sector..).take(count).flat_map(Image::contents).collect();
        assert_eq!(it.disk.read(sector, count), Ok(expected), "{count} sectors from {sector}");
    }
    // In pieces, so that the seams lie within what is widened, too.
    let request = Request::read(3, 5).cut_writable(&[100, 1900, 561]);
    let done = it.disk.request(&request);
    let expected: Bytes = (3..8).flat_map(Image::contents).collect();
    assert_eq!((done.status, done.bytes, done.written), (Ok(()), expected, 5 * 512 + 1));
    assert_eq!(it.disk.read(SECTORS - 1, 2), Err(Status::IoErr));
}

fn reads_of_any_sectors_of_a_file_with_large_blocks_are_right(engine: &str) {
    let Some(it) = Direct::file() else { return };
    expect_reads(it.launch(engine).args(["--block-size", "4096"]));
}

fn reads_of_any_sectors_of_a_device_with_large_sectors_are_right(engine: &str) {
    let Some(it) = Direct::large_sectors() else { return };
    expect_reads(it.launch(engine));
}

fn writes_of_part_of_a_block_are_refused_and_change_nothing(engine: &str) {
    let Some(it) = Direct::large_sectors() else { return };
    let before = it.image.bytes();
    let mut driven = Driven::start(it.launch(engine), USUAL | BLK_SIZE);
    for (sector, count) in [(0, 1), (1, 8), (4, 4), (8, 9), (7, 1), (7, 2), (0, 127)] {
        let write = driven.disk.write(sector, &all_written(1, sector, count));
        assert_eq!(write, Err(Status::IoErr), "{count} sectors from {sector}");
    }
    assert_eq!(driven.disk.flush(), Ok(()));
    assert_eq!(it.image.bytes(), before);
}

/// A back end that reads a block, changes a part of it and writes it back loses what somebody else
/// wrote to the other part meanwhile.
fn overlapping_writes_of_two_queues_change_whole_blocks_or_nothing(engine: &str) {
    let Some(it) = Direct::file() else { return };
    let launch = it.launch(engine).args(["--block-size", "4096"]);
    let mut driven = Driven::start(launch, USUAL | BLK_SIZE);
    let mut queues = [1, 2].map(|index| driven.frontend.blk(index, 64));
    thread::scope(|scope| {
        for (mine, disk) in (0..2).zip(&mut queues) {
            scope.spawn(move || {
                for round in 1..64 {
                    // Each writes its half of a block, which is refused, and a block of its own
                    // beside it, which is not.
                    let half = Request::write(8 + 4 * mine, &all_written(round, 8, 4)).indirect();
                    let whole = 16 + 8 * mine;
                    let whole = Request::write(whole, &all_written(round, whole, 8)).indirect();
                    let heads = disk.submit_all([&half, &whole]);
                    for _ in 0..2 {
                        let (head, done) = disk.wait();
                        let refused = head == heads[0];
                        assert_eq!(done.status.is_err(), refused, "{done:?}");
                    }
                }
            });
        }
    });
    assert_eq!(driven.disk.flush(), Ok(()));
    let untouched: Bytes = (8..16).flat_map(Image::contents).collect();
    assert_eq!(it.image.sectors(8, 8), untouched);
    assert_eq!(it.image.sectors(16, 16), all_written(63, 16, 16));
}

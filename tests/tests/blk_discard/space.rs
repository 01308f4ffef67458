// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What becomes of the space and of what was in it.

use vhost_user_tests::prelude::*;

use crate::{COUNT, FEATURES, FIRST, SECTORS, expect_zeroes_there_alone, filled, taken};

on_each_engine!(
    discard_gives_the_space_back_and_leaves_the_rest,
    zeroes_that_may_unmap_give_the_space_back,
    zeroes_that_may_not_unmap_keep_the_space,
    zeroes_of_a_disk_that_ignores_discards_keep_the_space,
    discards_in_one_request_are_all_done,
);

/// As a number of bytes: all that was in the range, but for a tenth.
const MOST: u64 = COUNT as u64 * 512 * 9 / 10;

fn discard_gives_the_space_back_and_leaves_the_rest(engine: &str) {
    let mut it = filled(&["--io-engine", engine], FEATURES);
    let before = taken(&it.image);
    assert_eq!(it.disk.discard(Extent::new(FIRST, COUNT)), Ok(()));
    let after = taken(&it.image);
    assert!(after + MOST <= before, "{after} bytes, {before} before");
    expect_zeroes_there_alone(&mut it);
    // It can be written again.
    assert_eq!(it.disk.write(FIRST, &Image::contents(7)), Ok(()));
    assert_eq!(it.disk.read(FIRST, 1), Ok(Image::contents(7)));
    assert_eq!(it.image.bytes().len() as u64, SECTORS * 512);
}

fn zeroes_that_may_unmap_give_the_space_back(engine: &str) {
    let mut it = filled(&["--io-engine", engine], FEATURES);
    let before = taken(&it.image);
    assert_eq!(it.disk.write_zeroes(Extent::new(FIRST, COUNT).flags(UNMAP)), Ok(()));
    let after = taken(&it.image);
    assert!(after + MOST <= before, "{after} bytes, {before} before");
    expect_zeroes_there_alone(&mut it);
}

fn zeroes_that_may_not_unmap_keep_the_space(engine: &str) {
    let mut it = filled(&["--io-engine", engine], FEATURES);
    let before = taken(&it.image);
    assert_eq!(it.disk.write_zeroes(Extent::new(FIRST, COUNT)), Ok(()));
    let after = taken(&it.image);
    assert!(after >= before, "{after} bytes, {before} before");
    expect_zeroes_there_alone(&mut it);
}

fn zeroes_of_a_disk_that_ignores_discards_keep_the_space(engine: &str) {
    let arguments = ["--io-engine", engine, "--discard", "ignore"];
    let mut it = filled(&arguments, USUAL | WRITE_ZEROES);
    let before = taken(&it.image);
    assert_eq!(it.disk.write_zeroes(Extent::new(FIRST, COUNT).flags(UNMAP)), Ok(()));
    let after = taken(&it.image);
    assert!(after >= before, "{after} bytes, {before} before");
    expect_zeroes_there_alone(&mut it);
}

fn discards_in_one_request_are_all_done(engine: &str) {
    let mut it = filled(&["--io-engine", engine], FEATURES);
    let most = it.frontend.blk_config().max_discard_seg.min(16);
    let before = taken(&it.image);
    let each = COUNT / most / 8 * 8;
    let extents: Vec<Extent> =
        (0..most).map(|number| Extent::new(FIRST + u64::from(number * each), each)).collect();
    assert_eq!(it.disk.request(&Request::discard(&extents)).status, Ok(()));
    let (after, discarded) = (taken(&it.image), u64::from(most * each) * 512);
    assert!(after + discarded * 9 / 10 <= before, "{after} bytes, {before} before");
    assert_eq!(it.disk.read(FIRST, 8), Ok(vec![0; 8 * SECTOR].into()));
    assert_eq!(it.disk.read(FIRST - 1, 1), Ok(Image::contents(FIRST - 1)));
    let behind = FIRST + u64::from(most * each);
    assert_eq!(it.disk.read(behind, 1), Ok(Image::contents(behind)));
}

/// What is discarded while it is read and written elsewhere stays apart from that.
#[test]
fn discards_beside_writes_of_another_queue_leave_those_alone() {
    let mut it = filled(&[], FEATURES);
    let mut other = it.frontend.blk(1, 16);
    for round in 0..32 {
        let sector = FIRST + 16 * round;
        it.disk.submit(&Request::discard(&[Extent::new(sector, 8)]));
        other.submit(&Request::write(sector + 8, &Image::contents(round)));
        assert_eq!(it.disk.wait().1.status, Ok(()));
        assert_eq!(other.wait().1.status, Ok(()));
    }
    for round in 0..32 {
        let sector = FIRST + 16 * round;
        assert_eq!(it.image.sectors(sector, 8), vec![0; 8 * SECTOR]);
        assert_eq!(it.image.sector(sector + 8), Image::contents(round));
        assert_eq!(it.image.sector(sector + 9), Image::contents(sector + 9));
    }
}

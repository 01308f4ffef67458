// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What makes no sense: refused whole, and nothing is changed.

use vhost_user_tests::prelude::*;

const FEATURES: u64 = USUAL | DISCARD | WRITE_ZEROES;

fn both(extents: &[Extent]) -> [Request; 2] {
    [Request::discard(extents), Request::write_zeroes(extents)]
}

/// Each of `requests` ends with `status`, and the image is as before.
#[track_caller]
fn expect_refused(it: &mut Served, requests: &[Request], status: Status) {
    let before = it.image.bytes();
    for request in requests {
        assert_eq!(it.disk.request(request).status, Err(status), "{request:?}");
    }
    assert_eq!(it.image.bytes(), before);
    assert_eq!(it.disk.read(0, 1), Ok(it.image.sector(0)));
}

#[test]
fn extents_past_the_end_are_errors() {
    let mut it = Served::blk_with(&[], FEATURES);
    for (sector, sectors) in
        [(64, 8), (56, 16), (0, 72), (u64::MAX, 8), (u64::MAX - 7, 8), (1 << 55, 8)]
    {
        expect_refused(&mut it, &both(&[Extent::new(sector, sectors)]), Status::IoErr);
    }
}

#[test]
fn request_of_which_one_extent_is_past_the_end_changes_nothing() {
    let mut it = Served::blk_with(&[], FEATURES);
    let config = it.frontend.blk_config();
    if config.max_discard_seg > 1 && config.max_write_zeroes_seg > 1 {
        let extents = [Extent::new(0, 8), Extent::new(64, 8)];
        expect_refused(&mut it, &both(&extents), Status::IoErr);
    }
}

#[test]
fn flags_that_are_not_known_are_unsupported() {
    let mut it = Served::blk_with(&[], FEATURES);
    for flags in [2, 3, 1 << 31] {
        let requests = both(&[Extent::new(0, 8).flags(flags)]);
        expect_refused(&mut it, &requests, Status::Unsupported);
    }
}

#[test]
fn discard_with_the_flag_of_the_other_request_is_unsupported() {
    let mut it = Served::blk_with(&[], FEATURES);
    let request = Request::discard(&[Extent::new(0, 8).flags(UNMAP)]);
    expect_refused(&mut it, &[request], Status::Unsupported);
}

#[test]
fn extents_that_are_no_whole_blocks_are_errors() {
    let mut it = Served::blk_with(&["--block-size", "4096"], FEATURES | BLK_SIZE);
    for (sector, sectors) in [(1, 8), (8, 7), (4, 4), (8, 1)] {
        expect_refused(&mut it, &both(&[Extent::new(sector, sectors)]), Status::IoErr);
    }
    assert_eq!(it.disk.discard(Extent::new(8, 8)), Ok(()));
}

#[test]
fn requests_that_are_no_whole_extents_are_errors() {
    let mut it = Served::blk_with(&[], FEATURES);
    for kind in [11, 13] {
        for len in [1, 15, 17] {
            let request = Request::new(kind, 0, &vec![0; len], 0);
            expect_refused(&mut it, &[request], Status::IoErr);
        }
    }
}

#[test]
fn extents_of_a_read_only_disk_are_refused() {
    let mut it = Served::blk_with(&["--read-only"], USUAL);
    let before = it.image.bytes();
    for request in both(&[Extent::new(0, 8)]) {
        let done = it.disk.request(&request);
        assert!(done.status.is_err(), "{request:?}");
    }
    assert_eq!(it.image.bytes(), before);
}

#[test]
fn discard_of_a_disk_that_ignores_them_changes_nothing() {
    let mut it = Served::blk_with(&["--discard", "ignore"], USUAL | WRITE_ZEROES);
    let before = it.image.bytes();
    let done = it.disk.request(&Request::discard(&[Extent::new(0, 8)]));
    assert_eq!(done.status, Err(Status::Unsupported));
    assert_eq!(it.image.bytes(), before);
}

#[test]
fn extents_of_no_sectors_change_nothing() {
    let mut it = Served::blk_with(&[], FEATURES);
    let before = it.image.bytes();
    for request in both(&[Extent::new(8, 0)]) {
        // Either is sensible; the rest of the disk is not.
        let done = it.disk.request(&request);
        assert!(matches!(done.status, Ok(()) | Err(Status::IoErr)), "{done:?}");
    }
    assert_eq!(it.image.bytes(), before);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the config space says about these requests.

use vhost_user_tests::prelude::*;

const BOTH: u64 = DISCARD | WRITE_ZEROES;

#[test]
fn limits_are_none_of_those_that_make_a_driver_fail() {
    let config = Served::blk_with(&[], USUAL | BOTH).frontend.blk_config();
    // A Windows driver crashes at a zero.
    assert!(config.max_discard_sectors > 0 && config.max_discard_seg > 0, "{config:?}");
    assert!(config.max_write_zeroes_sectors > 0 && config.max_write_zeroes_seg > 0, "{config:?}");
    assert!(config.discard_sector_alignment > 0, "{config:?}");
    assert_eq!(config.write_zeroes_may_unmap, 1);
    assert_eq!(config.size_max, 0);
}

#[test]
fn limits_are_whole_blocks() {
    let it = Served::blk_with(&["--block-size", "4096"], USUAL | BOTH | BLK_SIZE);
    let config = it.frontend.blk_config();
    assert_eq!(config.max_discard_sectors % 8, 0, "{config:?}");
    assert_eq!(config.max_write_zeroes_sectors % 8, 0, "{config:?}");
    assert_eq!(config.discard_sector_alignment % 8, 0, "{config:?}");
}

#[test]
fn requests_are_offered_as_the_disk_can_do_them() {
    let offered =
        |arguments: &[&str]| Served::blk_with(arguments, USUAL).frontend.get_features() & BOTH;
    assert_eq!(offered(&[]), BOTH);
    assert_eq!(offered(&["--discard", "unmap"]), BOTH);
    assert_eq!(offered(&["--discard", "ignore"]), WRITE_ZEROES);
    assert_eq!(offered(&["--read-only"]), 0);
}

#[test]
fn request_as_large_as_the_limits_is_done_and_a_larger_one_is_not() {
    let mut it = Served::blk_with(&[], USUAL | BOTH);
    let config = it.frontend.blk_config();
    for (most, make) in [
        (config.max_discard_seg, Request::discard as fn(&[Extent]) -> Request),
        (config.max_write_zeroes_seg, Request::write_zeroes),
    ] {
        let count = usize::try_from(most).unwrap();
        let done = it.disk.request(&make(&vec![Extent::new(0, 8); count]));
        assert_eq!(done.status, Ok(()), "{most} extents");
        let done = it.disk.request(&make(&vec![Extent::new(8, 8); count + 1]));
        assert_eq!(done.status, Err(Status::IoErr), "{most} extents and one");
    }
    assert_eq!(it.image.sectors(8, 8), (8..16).flat_map(Image::contents).collect::<Bytes>());
}

#[test]
fn extent_longer_than_the_limit_is_refused_though_the_disk_has_it() {
    // Sparse, and longer than any limit that there may be below 2 TiB.
    let image = Image::sparse(1 << 40);
    let mut it = Driven::start(Daemon::blk().image(&image), USUAL | BOTH);
    let config = it.frontend.blk_config();
    let fits = |sectors: u32| u64::from(sectors) < (1 << 40) / 512;
    if fits(config.max_discard_sectors) {
        let longer = Extent::new(0, config.max_discard_sectors + 8);
        assert_eq!(it.disk.discard(longer), Err(Status::IoErr));
    }
    if fits(config.max_write_zeroes_sectors) {
        let longer = Extent::new(0, config.max_write_zeroes_sectors + 8);
        assert_eq!(it.disk.write_zeroes(longer), Err(Status::IoErr));
    }
    assert_eq!(it.disk.discard(Extent::new(0, config.max_discard_sectors.min(1 << 20))), Ok(()));
}

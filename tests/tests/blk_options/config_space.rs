// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The fields that drivers choose their requests by.

use std::fs;

use vhost_user_tests::prelude::*;
use vhost_user_tests::requires;

#[test]
fn features_are_those_that_the_disk_has() {
    let always = SEG_MAX | BLK_SIZE | FLUSH | TOPOLOGY | MQ | VERSION_1 | INDIRECT_DESC | EVENT_IDX;
    let writable = Served::blk().frontend.get_features();
    let all = always | CONFIG_WCE | DISCARD | WRITE_ZEROES;
    assert_eq!(all & !writable, 0, "not offered: {:#x}", all & !writable);
    // SIZE_MAX, with which Linux would cut requests into pieces; RO; zones and secure erasure.
    for bit in [1, 5, 16, 17] {
        assert_eq!(writable & (1 << bit), 0, "feature {bit}");
    }
    let read_only = Served::blk_with(&["--read-only"], USUAL | RO).frontend.get_features();
    assert_eq!(always & !read_only, 0, "not offered: {:#x}", always & !read_only);
    assert_eq!(read_only & (DISCARD | WRITE_ZEROES), 0);
}

#[test]
fn write_back_cache_is_there_unless_the_operator_says_so() {
    for (arguments, writeback) in [
        (&[][..], 1),
        (&["--cache", "writeback"], 1),
        (&["--cache", "none"], 1),
        (&["--cache", "unsafe"], 1),
        (&["--cache", "writethrough"], 0),
    ] {
        let it = Served::blk_with(arguments, USUAL);
        assert_eq!(it.frontend.blk_config().writeback, writeback, "{arguments:?}");
    }
}

#[test]
fn topology_is_that_of_the_block_device() {
    let image = Image::of_sectors(64);
    let Some(device) = requires::loop_device_with_sectors(image.path(), 4096) else { return };
    let name = device.path().file_name().expect("the name of a block device").display();
    let queue = |name_of_limit: &str| -> u32 {
        let path = format!("/sys/block/{name}/queue/{name_of_limit}");
        fs::read_to_string(path).expect("a limit of a block device").trim().parse().expect("it")
    };
    let it = Driven::start(Daemon::blk().arg("--blk-file").arg(device.path()), USUAL);
    let config = it.frontend.blk_config();
    assert_eq!(config.blk_size, 4096);
    assert_eq!(config.blk_size << config.physical_block_exp, queue("physical_block_size"));
    assert_eq!(u32::from(config.min_io_size), queue("minimum_io_size") / 4096);
    assert_eq!(config.opt_io_size, queue("optimal_io_size") / 4096);
    assert_eq!(config.alignment_offset, 0);
    assert_eq!(config.discard_sector_alignment, queue("discard_granularity") / 512);
}

#[test]
fn topology_of_a_file_is_that_of_its_file_system() {
    use std::os::unix::fs::MetadataExt;
    let it = Served::blk();
    let preferred = fs::metadata(it.image.path()).expect("look at the image").blksize();
    let config = it.frontend.blk_config();
    let physical = u64::from(config.blk_size) << config.physical_block_exp;
    assert!(physical <= preferred.max(4096), "{config:?}");
    assert!(u64::from(config.min_io_size) * 512 <= preferred.max(4096), "{config:?}");
}

#[test]
fn segments_fit_in_the_smallest_queue_that_is_served() {
    for (size, segments) in [("1024", 126), ("128", 126), ("64", 62), ("4", 2)] {
        let image = Image::of_sectors(64);
        let launch = Daemon::blk().image(&image).args(["--queue-size", size]);
        let daemon = launch.start();
        let frontend = Frontend::connect(&daemon).negotiate(VERSION_1);
        assert_eq!(frontend.blk_config().seg_max, segments, "--queue-size {size}");
    }
}

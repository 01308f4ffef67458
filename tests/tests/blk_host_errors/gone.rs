// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Files that are no longer what they were: shorter, or not there at all.

use vhost_user_tests::fuse::Op;
use vhost_user_tests::prelude::*;

use crate::{file, serving};

on_each_engine!(
    read_beyond_the_end_of_a_file_that_shrank_is_an_error,
    read_across_the_end_of_a_file_that_shrank_is_an_error,
    device_that_vanishes_fails_all_requests_and_the_daemon_ends_well,
);

fn shrunk(arguments: &[&str]) -> Served {
    let mut it = Served::blk_with(arguments, USUAL);
    assert_eq!(it.disk.read(40, 1), Ok(Image::contents(40)));
    // Nobody tells the daemon.
    it.image.set_len(8 * SECTOR as u64 + 100);
    it
}

fn read_beyond_the_end_of_a_file_that_shrank_is_an_error(engine: &str) {
    for cache in ["writeback", "none"] {
        let mut it = shrunk(&["--io-engine", engine, "--cache", cache]);
        assert_eq!(it.disk.read(40, 1), Err(Status::IoErr));
        assert_eq!(it.disk.read(9, 1), Err(Status::IoErr));
        assert_eq!(it.disk.read(7, 1), Ok(Image::contents(7)));
        assert_eq!(it.image.bytes().len(), 8 * SECTOR + 100);
    }
}

fn read_across_the_end_of_a_file_that_shrank_is_an_error(engine: &str) {
    for cache in ["writeback", "none"] {
        let mut it = shrunk(&["--io-engine", engine, "--cache", cache]);
        assert_eq!(it.disk.read(0, 64), Err(Status::IoErr));
        assert_eq!(it.disk.read(7, 2), Err(Status::IoErr));
        assert_eq!(it.disk.read(8, 1), Err(Status::IoErr), "100 bytes of it are there");
        assert!(it.daemon.log().has("the disk ends at offset 4196"), "nothing was said");
        assert_eq!(it.disk.read(0, 8), Ok(it.image.sectors(0, 8)));
    }
}

fn device_that_vanishes_fails_all_requests_and_the_daemon_ends_well(engine: &str) {
    let Some(mut file) = file() else { return };
    let mut it = Driven::start(serving(&file, engine), USUAL);
    file.hold(Op::Read);
    file.hold(Op::Write);
    it.disk.submit(&Request::read(0, 1));
    file.wait_for(Op::Read, 1);
    it.disk.submit(&Request::write(8, &Image::contents(9)));
    file.wait_for(Op::Write, 1);
    file.vanish();
    for _ in 0..2 {
        assert_eq!(it.disk.wait().1.status, Err(Status::IoErr));
    }
    assert_eq!(it.disk.read(0, 1), Err(Status::IoErr));
    assert_eq!(it.disk.write(8, &Image::contents(9)), Err(Status::IoErr));
    assert_eq!(it.disk.flush(), Err(Status::IoErr));
    assert!(it.disk.id().is_ok());
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
}

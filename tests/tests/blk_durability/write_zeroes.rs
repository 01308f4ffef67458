// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Zeroes without data are as durable as a write of them would be.

use vhost_user_tests::fuse::{Manner, Op};
use vhost_user_tests::prelude::*;

use crate::{all_is_durable, file, serving};

on_each_engine!(
    zeroes_without_a_write_back_cache_end_when_they_are_durable,
    zeroes_with_a_write_back_cache_end_before_they_are_durable,
    zeroes_that_could_not_be_made_durable_are_an_error_and_so_is_a_flush,
);

const FEATURES: u64 = USUAL | WRITE_ZEROES;

fn zeroes_without_a_write_back_cache_end_when_they_are_durable(engine: &str) {
    let Some(file) = file(Manner::default()) else { return };
    let launch = serving(&file, engine).args(["--cache", "writethrough"]);
    let mut it = Driven::start(launch, FEATURES);
    file.hold(Op::Fsync);
    it.disk.submit(&Request::write_zeroes(&[Extent::new(8, 8)]));
    file.wait_for(Op::Fsync, 1);
    it.disk.queue.wait_until_taken();
    assert_eq!(it.disk.queue.used_index(), 0, "given back although it is not durable");
    file.release(Op::Fsync);
    assert_eq!(it.disk.wait().1.status, Ok(()));
    assert!(all_is_durable(&file.events()), "{:?}", file.events());
    assert_eq!(file.bytes()[8 * SECTOR..16 * SECTOR], [0; 8 * SECTOR]);
}

fn zeroes_with_a_write_back_cache_end_before_they_are_durable(engine: &str) {
    let Some(file) = file(Manner::default()) else { return };
    let mut it = Driven::start(serving(&file, engine), FEATURES);
    assert_eq!(it.disk.write_zeroes(Extent::new(8, 8)), Ok(()));
    assert_eq!((file.count(Op::Fallocate), file.count(Op::Fsync)), (1, 0));
}

fn zeroes_that_could_not_be_made_durable_are_an_error_and_so_is_a_flush(engine: &str) {
    let Some(file) = file(Manner::default()) else { return };
    let launch = serving(&file, engine).args(["--cache", "writethrough"]);
    let mut it = Driven::start(launch, FEATURES);
    file.fail_next(Op::Fsync, libc::EIO);
    assert_eq!(it.disk.write_zeroes(Extent::new(8, 8)), Err(Status::IoErr));
    assert_eq!(it.disk.flush(), Err(Status::IoErr));
}

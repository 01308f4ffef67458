// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A flush that fails: the host may have dropped what it could not write, and says so once.

use std::fs::File;

use vhost_user_tests::fuse::{Manner, Op};
use vhost_user_tests::prelude::*;

use crate::{file, foreign, serving};

on_each_engine!(
    flush_after_one_that_failed_fails_on_every_queue_for_ever,
    lost_write_is_told_by_the_flush_of_every_queue,
    lost_write_that_a_durable_one_is_told_of_is_told_by_the_flush_too,
    durable_write_after_an_fdatasync_that_failed_fails_on_every_queue_for_ever,
    flush_that_was_interrupted_is_not_tried_again,
);

fn flush_after_one_that_failed_fails_on_every_queue_for_ever(engine: &str) {
    let Some(file) = file(Manner::default()) else { return };
    let mut it = Driven::start(serving(&file, engine), USUAL);
    let mut other = it.frontend.blk(1, 16);
    assert_eq!(it.disk.flush(), Ok(()));
    assert_eq!(other.flush(), Ok(()));
    file.fail_next(Op::Fsync, libc::EIO);
    assert_eq!(it.disk.flush(), Err(Status::IoErr));
    assert!(it.daemon.log().has("Input/output error (os error 5)"));
    for _ in 0..3 {
        assert_eq!(it.disk.flush(), Err(Status::IoErr));
        assert_eq!(other.flush(), Err(Status::IoErr));
    }
    let said = "every flush from now on fails";
    assert!(it.daemon.log().has(said), "{said}");
    assert_eq!(it.daemon.log().count(said), 1, "{said}");
    // The rest goes on, for a guest that saves what it can.
    assert_eq!(it.disk.write(1, &foreign(1)), Ok(()));
    assert_eq!(it.disk.read(1, 1), Ok(foreign(1)));
    drop((it.disk, other, it.frontend));
    let mut frontend = Frontend::connect(&it.daemon).negotiate(USUAL);
    assert_eq!(frontend.blk(0, 16).flush(), Err(Status::IoErr), "over a new connection");
}

/// The kernel tells each open file once of a write that came to nothing after it had succeeded.
fn lost_write_is_told_by_the_flush_of_every_queue(engine: &str) {
    let Some(file) = file(Manner { writeback: true, ..Manner::default() }) else { return };
    let mut it = Driven::start(serving(&file, engine), USUAL);
    let mut other = it.frontend.blk(1, 16);
    assert_eq!(it.disk.write(1, &foreign(8)), Ok(()));
    file.fail_all(Op::Write, libc::EIO);
    // Under way at the same time, so that neither knows of the other.
    file.hold(Op::Write);
    it.disk.submit(&Request::flush());
    file.wait_for(Op::Write, 1);
    other.submit(&Request::flush());
    other.queue.wait_until_taken();
    file.release(Op::Write);
    assert_eq!(it.disk.wait().1.status, Err(Status::IoErr));
    assert_eq!(other.wait().1.status, Err(Status::IoErr));
}

/// The host has written it in vain before anybody asked, and told somebody else. A write that has to
/// be durable fails by it, which says nothing about the lost one.
fn lost_write_that_a_durable_one_is_told_of_is_told_by_the_flush_too(engine: &str) {
    let Some(file) = file(Manner { writeback: true, ..Manner::default() }) else { return };
    let mut it = Driven::start(serving(&file, engine), USUAL | CONFIG_WCE);
    assert_eq!(it.disk.write(1, &foreign(8)), Ok(()));
    file.fail_all(Op::Write, libc::EIO);
    let somebody = File::open(file.path()).expect("open the file");
    let told = somebody.sync_data().expect_err("the write that came to nothing");
    assert_eq!(told.raw_os_error(), Some(libc::EIO));
    file.mend();
    assert_eq!(it.frontend.set_writeback(0), Ok(()));
    assert_eq!(it.disk.write(32, &foreign(8)), Err(Status::IoErr));
    assert_eq!(it.frontend.set_writeback(1), Ok(()));
    assert_eq!(it.disk.flush(), Err(Status::IoErr));
}

fn durable_write_after_an_fdatasync_that_failed_fails_on_every_queue_for_ever(engine: &str) {
    let Some(file) = file(Manner::default()) else { return };
    let launch = serving(&file, engine).args(["--cache", "writethrough"]);
    let mut it = Driven::start(launch, USUAL);
    let mut other = it.frontend.blk(1, 16);
    assert_eq!(it.disk.write(1, &foreign(1)), Ok(()));
    file.fail_next(Op::Fsync, libc::EIO);
    for sector in 2..5 {
        assert_eq!(it.disk.write(sector, &foreign(1)), Err(Status::IoErr));
        assert_eq!(other.write(sector, &foreign(1)), Err(Status::IoErr));
    }
    assert_eq!(it.disk.flush(), Err(Status::IoErr));
    let said = "every flush from now on fails";
    assert!(it.daemon.log().has(said), "{said}");
    assert_eq!(it.daemon.log().count(said), 1, "{said}");
    assert_eq!(it.disk.read(9, 1), Ok(Image::contents(9)));
}

/// What it would have told is told once: a second try knows nothing of it.
fn flush_that_was_interrupted_is_not_tried_again(engine: &str) {
    let Some(file) = file(Manner::default()) else { return };
    let mut it = Driven::start(serving(&file, engine), USUAL);
    assert_eq!(it.disk.write(1, &foreign(1)), Ok(()));
    file.fail_next(Op::Fsync, libc::EINTR);
    assert_eq!(it.disk.flush(), Err(Status::IoErr));
    assert_eq!(file.count(Op::Fsync), 1);
    for _ in 0..2 {
        assert_eq!(it.disk.flush(), Err(Status::IoErr));
    }
    assert!(it.daemon.log().has("Interrupted system call (os error 4)"));
}

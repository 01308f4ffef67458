// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Errors of a file for a while.

use vhost_user_tests::fuse::Op;
use vhost_user_tests::prelude::*;

use crate::{file, serving};

on_each_engine!(
    read_and_write_that_fail_are_errors_of_these_requests_alone,
    write_that_the_host_puts_off_for_ever_is_an_error,
    read_that_the_host_puts_off_for_a_while_holds_up_no_other,
    write_that_fails_on_one_queue_is_nothing_to_another,
    read_that_is_slow_holds_up_no_other,
    read_before_a_write_that_is_slow_is_asked_of_the_host_without_waiting_for_that,
);

fn read_and_write_that_fail_are_errors_of_these_requests_alone(engine: &str) {
    let Some(file) = file() else { return };
    let mut it = Driven::start(serving(&file, engine), USUAL);
    let said = "Input/output error (os error 5)";
    file.fail_next(Op::Read, libc::EIO);
    assert_eq!(it.disk.read(3, 1), Err(Status::IoErr));
    assert!(it.daemon.log().has(said), "{said}");
    assert_eq!(it.disk.read(3, 1), Ok(Image::contents(3)));
    file.fail_next(Op::Write, libc::EIO);
    assert_eq!(it.disk.write(3, &Image::contents(99)), Err(Status::IoErr));
    assert_eq!(it.disk.read(3, 1), Ok(Image::contents(3)));
    assert_eq!(it.disk.write(3, &Image::contents(99)), Ok(()));
    assert_eq!(it.disk.read(3, 1), Ok(Image::contents(99)));
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
}

fn write_that_the_host_puts_off_for_ever_is_an_error(engine: &str) {
    expect_an_end_of_tries(engine, Op::Write, |disk| disk.write(3, &Image::contents(99)));
}

#[test]
fn read_that_the_host_puts_off_for_ever_is_an_error_with_threads() {
    expect_an_end_of_tries("sync", Op::Read, |disk| disk.read(3, 1).map(drop));
}

/// What is asked of a host that says "later" for ever is an error some time.
#[track_caller]
fn expect_an_end_of_tries(
    engine: &str,
    op: Op,
    request: impl FnOnce(&mut BlkQueue) -> Result<(), Status>,
) {
    let Some(file) = file() else { return };
    let mut it = Driven::start(serving(&file, engine), USUAL);
    file.fail_all(op, libc::EAGAIN);
    assert_eq!(request(&mut it.disk), Err(Status::IoErr));
    let said = "Resource temporarily unavailable (os error 11)";
    assert!(it.daemon.log().has(said), "{said}");
    let tries = file.count(op);
    assert!((2..100).contains(&tries), "{tries} tries");
    assert_eq!(it.disk.flush(), Ok(()), "the rest goes on");
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
}

fn read_that_the_host_puts_off_for_a_while_holds_up_no_other(engine: &str) {
    let Some(file) = file() else { return };
    let mut it = Driven::start(serving(&file, engine), USUAL);
    let mut other = it.frontend.blk(1, 16);
    file.fail_all(Op::Read, libc::EAGAIN);
    let slow = it.disk.submit(&Request::read(3, 1));
    file.wait_for(Op::Read, 2);
    assert_eq!(other.write(9, &Image::contents(97)), Ok(()));
    file.mend();
    // Whether it was tried for so long is the host's to say.
    let (head, done) = it.disk.wait();
    assert_eq!(head, slow);
    assert!(done.status == Err(Status::IoErr) || done.bytes == Image::contents(3), "{done:?}");
    assert_eq!(it.disk.read(3, 1), Ok(Image::contents(3)));
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
}

fn write_that_fails_on_one_queue_is_nothing_to_another(engine: &str) {
    let Some(file) = file() else { return };
    let mut it = Driven::start(serving(&file, engine), USUAL);
    let mut other = it.frontend.blk(1, 16);
    file.fail_next(Op::Write, libc::ENOSPC);
    assert_eq!(it.disk.write(3, &Image::contents(99)), Err(Status::IoErr));
    assert!(it.daemon.log().has("No space left on device (os error 28)"));
    assert_eq!(other.write(3, &Image::contents(98)), Ok(()));
    assert_eq!(it.disk.flush(), Ok(()), "a write that was said to have failed is not lost");
}

/// Neither those behind it in its queue nor those of another one.
fn read_that_is_slow_holds_up_no_other(engine: &str) {
    let Some(file) = file() else { return };
    let mut it = Driven::start(serving(&file, engine), USUAL);
    let mut other = it.frontend.blk(1, 16);
    file.hold(Op::Read);
    let slow = it.disk.submit(&Request::read(3, 1));
    file.wait_for(Op::Read, 1);
    let quick = it.disk.submit(&Request::write(8, &Image::contents(98)));
    let (head, done) = it.disk.wait();
    assert_eq!((head, done.status), (quick, Ok(())));
    assert_eq!(other.write(9, &Image::contents(97)), Ok(()));
    assert_eq!(it.disk.id().map(|id| id.is_empty()), Ok(false));
    file.release(Op::Read);
    let (head, done) = it.disk.wait();
    assert_eq!((head, done.status, done.bytes), (slow, Ok(()), Image::contents(3)));
}

/// The queue's thread may make the write itself, in the hope that it is quick.
fn read_before_a_write_that_is_slow_is_asked_of_the_host_without_waiting_for_that(engine: &str) {
    let Some(file) = file() else { return };
    let mut it = Driven::start(serving(&file, engine), USUAL);
    file.hold(Op::Write);
    it.disk.submit_all(&[Request::read(3, 1), Request::write(8, &Image::contents(98))]);
    file.wait_for(Op::Write, 1);
    file.wait_for(Op::Read, 1);
    file.release(Op::Write);
    for _ in 0..2 {
        assert_eq!(it.disk.wait().1.status, Ok(()));
    }
}

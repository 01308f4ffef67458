// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Which fdatasync answers for which flush.

use vhost_user_tests::deadline::until;
use vhost_user_tests::fuse::{Call, Event, Manner, Op};
use vhost_user_tests::prelude::*;
use vhost_user_tests::strace::Strace;

use crate::{all_is_durable, file, foreign, serving};

on_each_engine!(
    flush_comes_to_the_file_after_all_writes_that_have_ended,
    flush_ends_when_the_file_says_so,
    flushes_that_come_during_one_share_the_next,
    flush_of_an_unsafe_disk_asks_nothing_of_the_file,
    flush_of_a_disk_past_the_page_cache_is_asked_of_the_file,
);

fn flush_comes_to_the_file_after_all_writes_that_have_ended(engine: &str) {
    let Some(file) = file(Manner::default()) else { return };
    let mut it = Driven::start(serving(&file, engine), USUAL);
    for round in 1..4 {
        let writes: Vec<Request> =
            (0..4).map(|sector| Request::write(8 * sector, &foreign(1))).collect();
        it.disk.submit_all(&writes);
        for _ in &writes {
            assert_eq!(it.disk.wait().1.status, Ok(()));
        }
        assert!(!all_is_durable(&file.events()));
        assert_eq!(it.disk.flush(), Ok(()));
        assert!(all_is_durable(&file.events()), "{:?}", file.events());
        assert_eq!(file.count(Op::Fsync), round);
    }
}

fn flush_ends_when_the_file_says_so(engine: &str) {
    let Some(file) = file(Manner::default()) else { return };
    let mut it = Driven::start(serving(&file, engine), USUAL);
    file.hold(Op::Fsync);
    it.disk.submit(&Request::flush());
    file.wait_for(Op::Fsync, 1);
    it.disk.queue.wait_until_taken();
    assert_eq!(it.disk.queue.used_index(), 0);
    file.release(Op::Fsync);
    assert_eq!(it.disk.wait().1.status, Ok(()));
}

/// The one that is under way may have begun before a write that has ended meanwhile, so it says
/// nothing about a flush that comes after that; but one more is enough for all of them.
fn flushes_that_come_during_one_share_the_next(engine: &str) {
    let Some(file) = file(Manner::default()) else { return };
    let mut it = Driven::start(serving(&file, engine), USUAL);
    file.hold(Op::Fsync);
    it.disk.submit(&Request::flush());
    file.wait_for(Op::Fsync, 1);
    for _ in 0..5 {
        it.disk.submit(&Request::flush());
    }
    it.disk.queue.wait_until_taken();
    assert_eq!(file.count(Op::Fsync), 1, "more than one at a time");
    file.release_those_held(Op::Fsync);
    file.wait_for(Op::Fsync, 2);
    until("the first flush", || (it.disk.queue.used_index() == 1).then_some(()));
    it.disk.queue.wait_until_taken();
    assert_eq!(it.disk.queue.used_index(), 1, "flushes that have ended before their fdatasync");
    file.release(Op::Fsync);
    while it.disk.in_flight() > 0 {
        assert_eq!(it.disk.wait().1.status, Ok(()));
    }
    assert_eq!(file.count(Op::Fsync), 2);
}

fn flush_of_an_unsafe_disk_asks_nothing_of_the_file(engine: &str) {
    let Some(file) = file(Manner::default()) else { return };
    let mut it = Driven::start(serving(&file, engine).args(["--cache", "unsafe"]), USUAL);
    assert!(it.daemon.log().has("warning: "), "it goes without saying");
    assert_eq!(it.disk.write(1, &foreign(1)), Ok(()));
    assert_eq!(it.disk.flush(), Ok(()));
    assert_eq!(file.count(Op::Fsync), 0);
    assert!(!all_is_durable(&file.events()), "a write that takes longer for nothing");
}

fn flush_of_a_disk_past_the_page_cache_is_asked_of_the_file(engine: &str) {
    let Some(file) = file(Manner { cached: true, ..Manner::default() }) else { return };
    let mut it = Driven::start(serving(&file, engine).args(["--cache", "none"]), USUAL);
    let opened = |event: &Event| matches!(event, Event::Came(Call::Open { flags }) if flags & libc::O_DIRECT != 0);
    assert!(file.events().iter().any(opened), "{:?}", file.events());
    assert_eq!(it.disk.write(1, &foreign(1)), Ok(()));
    assert_eq!(it.disk.flush(), Ok(()));
    assert!(all_is_durable(&file.events()), "{:?}", file.events());
    assert_eq!(file.count(Op::Fsync), 1);
}

/// The first fdatasync has not begun in the kernel yet when a write ends and another flush comes:
/// only one that begins later answers for that flush, whatever the first one does.
#[test]
fn system_call_for_a_flush_begins_after_all_writes_that_have_ended() {
    let strace = Strace::of("pwritev2,pwritev,pwrite64,fdatasync");
    let Some(strace) = strace.map(|strace| strace.inject("fdatasync:delay_enter=300000")) else {
        return;
    };
    let image = Image::of_sectors(64);
    let launch = Daemon::blk().image(&image).args(["--io-engine", "sync"]);
    let mut it = Driven::start(launch.under(strace.wrapper()), USUAL);
    it.disk.submit(&Request::flush());
    let mut other = it.frontend.blk(1, 16);
    for sector in 0..4 {
        assert_eq!(other.write(sector, &foreign(1)), Ok(()));
    }
    let written = strace.calls().iter().map(|call| call.ended).max();
    it.disk.submit(&Request::flush());
    for _ in 0..2 {
        assert_eq!(it.disk.wait().1.status, Ok(()));
    }
    let calls = strace.calls_of("fdatasync");
    let last = calls.last().expect("an fdatasync");
    assert!(Some(last.began) > written, "the last write ended at {written:?}: {calls:?}");
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(
        Some(calls[0].began) < written,
        "the first flush was too slow for this test: {calls:?}"
    );
}

#[test]
fn system_calls_of_an_unsafe_disk_have_no_fdatasync() {
    let Some(strace) = Strace::of("fdatasync,fsync,sync_file_range") else { return };
    let image = Image::of_sectors(64);
    let launch = Daemon::blk().image(&image).args(["--io-engine", "sync", "--cache", "unsafe"]);
    let mut it = Driven::start(launch.under(strace.wrapper()), USUAL);
    assert_eq!(it.disk.write(1, &foreign(1)), Ok(()));
    assert_eq!(it.disk.flush(), Ok(()));
    assert_eq!(strace.calls(), []);
}

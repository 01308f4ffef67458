// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A write that is on stable storage before it is completed.

use vhost_user_tests::fuse::{Call, Event, Manner, Op};
use vhost_user_tests::prelude::*;
use vhost_user_tests::strace::{Strace, Traced};

use crate::{all_is_durable, file, foreign, serving};

on_each_engine!(
    write_of_a_driver_that_cannot_flush_is_durable_when_it_ends,
    write_of_a_disk_without_a_write_back_cache_is_durable_when_it_ends,
    write_back_cache_that_the_driver_turns_off_and_on_is_off_and_on,
    write_ends_after_an_fdatasync_that_began_when_it_was_made,
    writes_that_wait_at_the_same_time_share_an_fdatasync,
    write_of_a_disk_that_is_written_through_is_durable_whatever_a_driver_wants,
);

fn write_of_a_driver_that_cannot_flush_is_durable_when_it_ends(engine: &str) {
    let Some(file) = file(Manner::default()) else { return };
    let mut it = Driven::start(serving(&file, engine), VERSION_1);
    assert_eq!(it.disk.write(3, &foreign(2)), Ok(()));
    assert!(all_is_durable(&file.events()), "{:?}", file.events());
    assert_eq!(file.count(Op::Write), 1);
}

fn write_of_a_disk_without_a_write_back_cache_is_durable_when_it_ends(engine: &str) {
    let Some(file) = file(Manner::default()) else { return };
    let launch = serving(&file, engine).args(["--cache", "writethrough"]);
    let mut it = Driven::start(launch, USUAL);
    assert_eq!(it.frontend.blk_config().writeback, 0);
    assert_eq!(it.disk.write(3, &foreign(2)), Ok(()));
    assert!(all_is_durable(&file.events()), "{:?}", file.events());
    assert_eq!(it.disk.flush(), Ok(()));
}

fn write_back_cache_that_the_driver_turns_off_and_on_is_off_and_on(engine: &str) {
    let Some(file) = file(Manner::default()) else { return };
    let mut it = Driven::start(serving(&file, engine), USUAL | CONFIG_WCE);
    assert_eq!(it.frontend.blk_config().writeback, 1);
    assert_eq!(it.disk.write(1, &foreign(1)), Ok(()));
    assert!(!all_is_durable(&file.events()), "it would be no write-back cache");
    assert_eq!(it.disk.flush(), Ok(()));
    assert!(all_is_durable(&file.events()), "{:?}", file.events());

    assert_eq!(it.frontend.set_writeback(0), Ok(()));
    assert_eq!(it.frontend.blk_config().writeback, 0);
    for sector in 0..3 {
        assert_eq!(it.disk.write(sector, &foreign(1)), Ok(()));
        assert!(all_is_durable(&file.events()), "{:?}", file.events());
    }

    assert_eq!(it.frontend.set_writeback(1), Ok(()));
    assert_eq!(it.frontend.blk_config().writeback, 1);
    assert_eq!(it.disk.write(2, &foreign(1)), Ok(()));
    assert!(!all_is_durable(&file.events()), "it is no write-back cache any more");
}

/// Of a driver that cannot flush.
const NO_FLUSH: u64 = VERSION_1 | EVENT_IDX;

fn write_ends_after_an_fdatasync_that_began_when_it_was_made(engine: &str) {
    for (arguments, features) in [(&["--cache", "writethrough"][..], USUAL), (&[], NO_FLUSH)] {
        let Some(file) = file(Manner::default()) else { return };
        let mut it = Driven::start(serving(&file, engine).args(arguments), features);
        file.hold(Op::Fsync);
        it.disk.submit(&Request::write(3, &foreign(2)));
        file.wait_for(Op::Fsync, 1);
        it.disk.queue.wait_until_taken();
        assert_eq!(it.disk.queue.used_index(), 0, "given back although it is not durable");
        let written =
            |event: &Event| matches!(event, Event::Answered(Call::Write { durable: false, .. }, 0));
        let events = file.events();
        let written = events.iter().position(written);
        let asked = events.iter().position(|event| *event == Event::Came(Call::Fsync));
        assert!(written.is_some() && written < asked, "{events:?}");
        file.release(Op::Fsync);
        assert_eq!(it.disk.wait().1.status, Ok(()));
        assert_eq!((file.count(Op::Write), file.count(Op::Fsync)), (1, 1));
    }
}

fn writes_that_wait_at_the_same_time_share_an_fdatasync(engine: &str) {
    let Some(file) = file(Manner::default()) else { return };
    let launch = serving(&file, engine).args(["--cache", "writethrough"]);
    let mut it = Driven::start(launch, USUAL);
    let mut disk = it.frontend.blk(1, 64);
    let writes: Vec<Request> = (0..16).map(|at| Request::write(2 * at, &foreign(1))).collect();
    file.hold(Op::Fsync);
    disk.submit_all(&writes);
    file.wait_for(Op::Fsync, 1);
    file.release(Op::Fsync);
    for _ in &writes {
        assert_eq!(disk.wait().1.status, Ok(()));
    }
    assert!(all_is_durable(&file.events()), "{:?}", file.events());
    let syncs = file.count(Op::Fsync);
    assert!((2..writes.len()).contains(&syncs), "{syncs} fdatasyncs for {} writes", writes.len());
}

fn write_of_a_disk_that_is_written_through_is_durable_whatever_a_driver_wants(engine: &str) {
    let Some(file) = file(Manner::default()) else { return };
    let launch = serving(&file, engine).args(["--cache", "writethrough"]);
    let mut it = Driven::start(launch, USUAL | CONFIG_WCE);
    assert_eq!(it.frontend.set_writeback(1), Ok(()));
    assert_eq!(it.frontend.blk_config().writeback, 0);
    assert_eq!(it.disk.write(3, &foreign(2)), Ok(()));
    assert!(all_is_durable(&file.events()), "{:?}", file.events());

    drop((it.disk, it.frontend));
    let mut frontend = Frontend::connect(&it.daemon).negotiate(USUAL);
    assert_eq!(frontend.blk_config().writeback, 0);
    assert_eq!(frontend.blk(0, 16).write(8, &foreign(2)), Ok(()));
    assert!(all_is_durable(&file.events()), "over a new connection: {:?}", file.events());
    assert_eq!(file.count(Op::Write), 2);
}

/// Queues that were running when the cache was turned off.
#[test]
fn write_back_cache_that_is_turned_off_is_off_for_all_queues() {
    let Some(file) = file(Manner::default()) else { return };
    let mut it = Driven::start(serving(&file, "auto"), USUAL | CONFIG_WCE);
    let others = [1, 2].map(|index| it.frontend.blk(index, 16));
    assert_eq!(it.frontend.set_writeback(0), Ok(()));
    for (sector, mut disk) in (0..).zip(others) {
        assert_eq!(disk.write(sector, &foreign(1)), Ok(()));
        assert!(all_is_durable(&file.events()), "{:?}", file.events());
    }
}

#[test]
fn write_back_cache_is_changed_by_its_byte_alone() {
    let it = Served::blk_with(&[], USUAL | CONFIG_WCE);
    let before = it.frontend.get_config(0, 60);
    for (offset, data) in [
        (32, vec![2]),
        (32, vec![0xff]),
        (32, vec![0, 0]),
        (31, vec![0, 0]),
        (33, vec![0]),
        (0, vec![0]),
    ] {
        let set = it.frontend.set_config(offset, &data);
        assert_eq!(set, Err(Refused), "{data:?} at {offset}");
    }
    assert_eq!(it.frontend.get_config(0, 60), before);
}

#[test]
fn write_back_cache_is_not_changed_by_a_driver_that_cannot() {
    let it = Served::blk();
    assert_eq!(it.frontend.set_writeback(0), Err(Refused));
    assert_eq!(it.frontend.blk_config().writeback, 1);
}

/// A disk whose system calls are seen; writes have their flags there. A sync takes long to tell of
/// its end, so that whoever does not wait for it is found out.
fn traced(arguments: &[&str], features: u64) -> Option<(Strace, Served)> {
    let strace = Strace::of("pwritev2,pwritev,pwrite64,fdatasync,fsync")?;
    let strace = strace.inject("fdatasync:delay_exit=300000");
    let image = Image::of_sectors(64);
    let launch = Daemon::blk().image(&image).args(["--io-engine", "sync"]).args(arguments);
    let Driven { disk, frontend, daemon } = Driven::start(launch.under(strace.wrapper()), features);
    Some((strace, Served { disk, frontend, daemon, image }))
}

/// These are a write, and then an fdatasync that has ended.
#[track_caller]
fn expect_durable(calls: &[Traced]) {
    let [write, sync] = calls else { panic!("a write and a sync: {calls:?}") };
    assert!(write.name.starts_with("pwrite") && !write.arguments.contains("RWF_"), "{calls:?}");
    assert_eq!((&*sync.name, &*sync.result), ("fdatasync", "0 (DELAYED)"), "{calls:?}");
    assert!(write.ended < sync.began, "{calls:?}");
}

#[test]
fn system_calls_of_a_write_of_a_driver_that_cannot_flush_make_it_durable() {
    let Some((strace, mut it)) = traced(&[], VERSION_1) else { return };
    assert_eq!(it.disk.write(3, &foreign(2)), Ok(()));
    expect_durable(&strace.calls());
}

#[test]
fn system_calls_of_a_write_without_a_write_back_cache_make_it_durable() {
    for arguments in [&["--cache", "writethrough"][..], &[]] {
        let Some((strace, mut it)) = traced(arguments, USUAL | CONFIG_WCE) else { return };
        assert_eq!(it.frontend.set_writeback(0), Ok(()));
        assert_eq!(it.disk.write(3, &foreign(2)), Ok(()));
        expect_durable(&strace.calls());
    }
}

/// The first fdatasync has not begun in the kernel yet when another write ends: that one needs one of
/// its own, whatever the first one does.
#[test]
fn system_call_for_a_write_during_an_fdatasync_is_one_more() {
    let strace = Strace::of("pwritev2,pwritev,pwrite64,fdatasync,fsync");
    let Some(strace) = strace.map(|strace| strace.inject("fdatasync:delay_enter=300000")) else {
        return;
    };
    let image = Image::of_sectors(64);
    let launch = Daemon::blk().image(&image).args(["--io-engine", "sync"]);
    let launch = launch.args(["--cache", "writethrough"]).under(strace.wrapper());
    let mut it = Driven::start(launch, USUAL);
    for sector in [3, 8] {
        it.disk.submit(&Request::write(sector, &foreign(1)));
        it.disk.queue.wait_until_taken();
    }
    for _ in 0..2 {
        assert_eq!(it.disk.wait().1.status, Ok(()));
    }
    let calls = strace.calls();
    let written = calls.iter().filter(|call| call.name.starts_with("pwrite"));
    let written = written.map(|call| call.ended).max();
    let syncs = strace.calls_of("fdatasync");
    assert_eq!((calls.len(), syncs.len()), (4, 2), "{calls:?}");
    assert!(Some(syncs[1].began) > written, "{calls:?}");
    assert!(Some(syncs[0].began) < written, "the first was too slow for this test: {calls:?}");
}

#[test]
fn system_calls_of_a_write_with_a_write_back_cache_are_one() {
    let Some((strace, mut it)) = traced(&[], USUAL) else { return };
    assert_eq!(it.disk.write(3, &foreign(2)), Ok(()));
    let calls = strace.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert!(!calls[0].arguments.contains("RWF_DSYNC"), "{calls:?}");
}

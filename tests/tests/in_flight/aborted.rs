// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The daemon aborts at a certain point in the life of a request; what the next one finds is what
//! that point leaves behind.

use vhost_user_tests::daemon::Launch;
use vhost_user_tests::deadline::Deadline;
use vhost_user_tests::prelude::*;

use super::checked_disk::{Asked, CheckedDisk};
use super::{Life, Lives};

/// How many descriptors each queue has: enough for 32 requests of three.
const SIZE: u16 = 128;

/// How many sectors of the disk each queue has for itself.
const SECTORS: u64 = 512;

/// Where a request writes that the driver makes available while there is no daemon.
const WHILE_AWAY: u64 = 448;

macro_rules! points {
    ($($name:ident = $point:literal, $passed:ident;)*) => { $(
        mod $name {
            #[test]
            fn requests_served_in_order_are_all_completed_once() {
                super::every_case($point, super::Passed::$passed, false);
            }

            #[test]
            fn requests_served_out_of_order_are_all_completed_once() {
                super::every_case($point, super::Passed::$passed, true);
            }

            #[test]
            fn daemon_that_aborts_again_while_it_recovers_loses_nothing() {
                super::aborted_again($point, super::Passed::$passed);
            }
        }
    )* };
}

points! {
    mark = "mark", ByRequest;
    submission = "submission", ByRequest;
    completion = "completion", ByRequest;
    used_element = "used-element", ByGroup;
    used_idx = "used-idx", ByGroup;
    half_of_the_marks = "half-marks", ByGroup;
    call = "call", ByGroup;
}

/// How often a point is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passed {
    /// By each request.
    ByRequest,
    /// By each group of requests that is shown to the driver.
    ByGroup,
}

/// What is in flight when the daemon aborts, and where it does.
#[derive(Clone, Copy, Debug)]
struct Case {
    point: &'static str,
    /// At which time that the point is passed, from 1, after what was served before.
    nth: usize,
    /// How many requests are in flight on each queue.
    in_flight: usize,
    queues: usize,
    /// How many requests were served before, one by one.
    before: usize,
    shuffled: bool,
}

impl Case {
    #[expect(clippy::print_stdout, reason = "whoever reads of a failure wants to know where")]
    fn tell(&self) {
        println!("{self:?}");
    }

    /// A daemon that will abort.
    fn mortal(&self) -> Launch {
        let nth = self.before + self.nth;
        self.immortal().env("VHOST_USER_TEST_ABORT", format!("{}:{nth}", self.point))
    }

    /// A daemon that will not.
    fn immortal(&self) -> Launch {
        let launch = Daemon::blk_with_hooks();
        if self.shuffled { launch.env("VHOST_USER_TEST_SHUFFLE", "7") } else { launch }
    }

    fn disk(&self, lives: &Lives) -> CheckedDisk {
        let queues: Vec<BlkQueue> = (0..self.queues).map(|_| lives.queue()).collect();
        let sectors = SECTORS * u64::try_from(self.queues).expect("a number of queues");
        CheckedDisk::new(queues, 0..sectors)
    }
}

/// All that may be in flight, at a point.
#[track_caller]
fn every_case(point: &'static str, passed: Passed, shuffled: bool) {
    for queues in [1, 2] {
        for in_flight in [1, 2, 32] {
            for before in [0, 3] {
                let case = Case { point, nth: 1, in_flight, queues, before, shuffled };
                for nth in times(passed, in_flight * queues) {
                    play(Case { nth, ..case });
                }
            }
        }
    }
}

/// At which times a point is of interest that up to `most` requests pass: the first, one in the
/// middle, the last. Into how many groups they fall is not known.
fn times(passed: Passed, most: usize) -> Vec<usize> {
    let mut times = match passed {
        Passed::ByRequest => vec![1, most.div_ceil(2), most],
        Passed::ByGroup => vec![1],
    };
    times.dedup();
    times
}

/// A region that is new when the ring is not: the ring has served without it, as it does before a
/// migration, and nothing is completed before the end.
#[test]
fn head_taken_first_with_a_new_region_at_a_used_ring_is_not_lost() {
    let mut lives = Lives::new(SECTORS, SIZE);
    let queue = Queue::new(&lives.memory, SIZE, true).starting_at(1000);
    let mut disk = CheckedDisk::new(vec![BlkQueue::new(queue)], 0..SECTORS);
    let launch = Daemon::blk_with_hooks().env("VHOST_USER_TEST_ABORT", "mark:1");
    let life = lives.begin(launch, disk.queues());
    // Where a region that is all zeroes says that the last batch begins.
    assert_eq!(disk.write(0, 5, 1), 0);
    disk.publish();
    expect_aborted(life);
    assert_eq!(lives.part(0).marked(), [0]);
    let life = lives.begin(Daemon::blk(), disk.queues());
    disk.wait_for_all();
    life.end_settled(&lives, &[disk]);
}

/// What was completed before the end is told after it, although nobody else asks for a call.
#[test]
fn driver_that_missed_its_call_gets_one_from_the_next_daemon() {
    let mut lives = Lives::new(SECTORS, SIZE);
    let mut disk = CheckedDisk::new(vec![lives.queue()], 0..SECTORS);
    let launch = Daemon::blk_with_hooks().env("VHOST_USER_TEST_ABORT", "call:1");
    let life = lives.begin(launch, disk.queues());
    // The calls at the start say nothing about a request.
    disk.queue(0).queue.call_fd().take();
    disk.write(0, 5, 1);
    disk.publish();
    expect_aborted(life);
    assert_eq!(disk.queue(0).queue.call_fd().take(), 0);
    assert_eq!(disk.queue(0).queue.used_index(), 1);
    let life = lives.begin(Daemon::blk(), disk.queues());
    assert_eq!(disk.queue(0).queue.call_fd().wait(Deadline::new()), 1);
    disk.take_all();
    life.end_settled(&lives, &[disk]);
}

/// Plays `case`: a life that is aborted, and one that ends what the first began.
#[track_caller]
fn play(case: Case) {
    case.tell();
    let mut lives = Lives::new(2 * SECTORS, SIZE);
    let mut disk = case.disk(&lives);
    abort(&mut lives, &mut disk, case);
    let life = lives.begin(case.immortal(), disk.queues());
    disk.wait_for_all();
    life.end_settled(&lives, &[disk]);
}

/// Two lives that are aborted, and one that ends what they began.
#[track_caller]
fn aborted_again(point: &'static str, passed: Passed) {
    for shuffled in [false, true] {
        let case = Case { point, nth: 1, in_flight: 32, queues: 2, before: 3, shuffled };
        for nth in times(passed, 64) {
            let case = Case { nth, ..case };
            case.tell();
            let mut lives = Lives::new(2 * SECTORS, SIZE);
            let mut disk = case.disk(&lives);
            abort(&mut lives, &mut disk, case);
            // What the driver made available meanwhile has yet to pass the point.
            let again = Case { before: 0, nth: 1, ..case };
            let life = lives.begin_unacked(again.mortal(), disk.queues());
            expect_aborted(life);
            disk.take_all();
            let life = lives.begin(case.immortal(), disk.queues());
            disk.wait_for_all();
            life.end_settled(&lives, &[disk]);
        }
    }
}

/// The first life of `case`. When it has ended, the driver has seen what was given back, has
/// written anew where a write was acknowledged, and has made more available beside it.
#[track_caller]
fn abort(lives: &mut Lives, disk: &mut CheckedDisk, case: Case) {
    let life = lives.begin(case.mortal(), disk.queues());
    for sector in (0..).take(case.before) {
        disk.write(0, sector, 1);
        disk.publish();
        disk.wait_for_all();
    }
    let heads = submit(disk, case);
    expect_aborted(life);
    for (queue, heads) in (0..).zip(&heads) {
        expect_marks_in_order(lives, queue, heads);
    }
    let done = disk.take_all();
    for asked in done {
        if let Asked::Write { sector, count } = asked {
            let queue = usize::try_from(sector / SECTORS).expect("a queue");
            disk.write(queue, sector, count);
        }
    }
    for (queue, first) in (0..case.queues).zip((0..).step_by(512)) {
        disk.write(queue, first + WHILE_AWAY, 2);
        disk.write(queue, first + WHILE_AWAY + 2, 1);
    }
    disk.publish();
}

/// Makes all requests of `case` available at once on each queue: writes of one to eight sectors,
/// and every fourth one a read. Returns the heads of each queue.
fn submit(disk: &mut CheckedDisk, case: Case) -> Vec<Vec<u16>> {
    let mut heads = vec![Vec::new(); case.queues];
    for (queue, first) in (0..case.queues).zip((0..).step_by(512)) {
        for (number, sector) in (0..case.in_flight).zip((first + 8..).step_by(8)) {
            let count = 1 + number % 8;
            heads[queue].push(if number % 4 == 1 {
                disk.read(queue, sector, count)
            } else {
                disk.write(queue, sector, count)
            });
        }
    }
    disk.publish();
    heads
}

#[track_caller]
fn expect_aborted(life: Life) {
    assert_eq!(life.daemon.wait(), Exit::Signal(libc::SIGABRT));
    let log = life.daemon.log().whole();
    assert!(!log.contains("panicked"), "it aborted for another reason:\n{log}");
}

/// Of `heads`, in the order in which they were made available, some are marked, with counters in
/// the same order; and of no others, but for one that was served before.
#[track_caller]
fn expect_marks_in_order(lives: &Lives, queue: u16, heads: &[u16]) {
    let marked = lives.part(queue).marked();
    let mut order = heads.iter();
    for head in &marked {
        assert!(
            order.any(|other| other == head),
            "queue {queue}: marked in the order {marked:?}, made available in the order {heads:?}"
        );
    }
}

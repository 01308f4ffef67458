// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Regions that no daemon leaves behind: at worst a queue is broken, or the connection ends.

use vhost_user_tests::deadline::until;
use vhost_user_tests::in_flight::{Entry, QueuePart};
use vhost_user_tests::prelude::*;

use super::{Life, Lives};

const SIZE: u16 = 16;

/// Two queues with a region that is right, until a test changes what it says about the first.
struct Bench {
    lives: Lives,
    bad: BlkQueue,
    good: BlkQueue,
}

impl Bench {
    fn new() -> Self {
        Self::with_region_for(SIZE)
    }

    /// With a region for queues of `size` descriptors.
    fn with_region_for(size: u16) -> Self {
        let mut lives = Lives::new(64, SIZE);
        let region = InFlightRegion::new(2, size);
        region.queue(0).initialise(0);
        region.queue(1).initialise(0);
        lives.region = Some(region);
        let (bad, good) = (lives.queue(), lives.queue());
        Self { lives, bad, good }
    }

    fn part(&self) -> QueuePart<'_> {
        self.lives.part(0)
    }

    /// Makes reads available on the first queue; returns their heads.
    fn reads(&mut self, count: u64) -> Vec<u16> {
        let heads = (0..count).map(|sector| self.bad.add(&Request::read(sector, 1).indirect()));
        let heads = heads.collect();
        self.bad.queue.publish();
        heads
    }

    fn begin(&mut self) -> Life {
        self.lives.begin(Daemon::blk(), [&self.bad, &self.good])
    }

    /// The first queue is broken, with `line` in the log; all else goes on, and a front end with a
    /// new region is served again.
    #[track_caller]
    fn expect_broken(mut self, line: &str) {
        let life = self.begin();
        self.bad.queue.expect_broken();
        let log = life.daemon.log();
        assert!(log.has(line), "{line:?} in {}", log.text());
        assert_eq!(log.count("queue 0: stopped"), 1, "{}", log.text());
        self.expect_rest_unharmed(life);
    }

    /// A daemon that takes all that is available before it serves any of it finds `head` twice.
    /// What it took before that is given back, once.
    #[track_caller]
    fn expect_in_flight_already(mut self, head: u16, taken: usize) {
        let launch = Daemon::blk_with_hooks().env("VHOST_USER_TEST_SHUFFLE", "1");
        let life = self.lives.begin(launch, [&self.bad, &self.good]);
        self.bad.queue.expect_broken();
        let line = format!("head {head} is in flight already");
        assert!(life.daemon.log().has(&line), "{}", life.daemon.log().text());
        for _ in 0..taken {
            assert_eq!(self.bad.watch().1.status, Ok(()));
        }
        self.expect_rest_unharmed(life);
    }

    /// The other queue is served; and the first as well, once it has begun anew.
    #[track_caller]
    fn expect_rest_unharmed(mut self, life: Life) {
        assert_eq!(self.good.read(6, 2), Ok(self.lives.image.sectors(6, 2)));
        life.frontend.get_vring_base(0);
        life.frontend.get_vring_base(1);
        self.lives.part(1).expect_settled(1);
        drop(life.frontend);
        self.lives.region = None;
        let mut anew = self.lives.queue();
        let frontend = self.lives.connect(&life.daemon, 2);
        frontend.start(0, &anew.queue);
        assert_eq!(anew.read(7, 1), Ok(self.lives.image.sector(7)));
        drop(frontend);
        assert_eq!(life.daemon.sigterm().wait(), Exit::Clean);
    }
}

#[test]
fn used_index_further_on_than_a_ring_breaks_the_queue() {
    for behind in [SIZE + 1, 1000, u16::MAX] {
        let mut it = Bench::new();
        let head = it.reads(1)[0];
        it.part().mark(head, 0);
        it.part().set_used_idx(0u16.wrapping_sub(behind));
        let line = format!("{behind} used elements are not accounted for, ring size {SIZE}");
        it.expect_broken(&line);
    }
}

#[test]
fn last_batch_that_leads_out_of_the_ring_breaks_the_queue() {
    for nowhere in [SIZE, u16::MAX] {
        let mut it = Bench::new();
        let heads = it.reads(2);
        it.bad.queue.set_used_index(2);
        it.part().mark(heads[0], 0);
        it.part().set_last_batch_head(nowhere);
        let line = format!("head {nowhere} is beyond ring size {SIZE}");
        it.expect_broken(&line);
        let mut it = Bench::new();
        let heads = it.reads(2);
        it.bad.queue.set_used_index(2);
        it.part().set_last_batch_head(heads[1]);
        it.part().set_entry(heads[1], Entry { in_flight: 1, next: nowhere, counter: 0 });
        it.expect_broken(&line);
    }
}

/// What it doesn't lead to counts as in flight.
#[test]
fn last_batch_that_leads_in_a_circle_is_not_followed_for_ever() {
    let mut it = Bench::new();
    let heads = it.reads(3);
    it.bad.queue.set_used_index(3);
    for head in &heads {
        it.part().mark(*head, 0);
    }
    it.part().link_batch(&[heads[0], heads[1], heads[0]]);
    let life = it.begin();
    until("the mark that is left to be cleared", || it.part().marked().is_empty().then_some(()));
    assert_eq!(it.bad.queue.used_element(3).head, heads[2]);
    it.expect_rest_unharmed(life);
}

#[test]
fn more_marks_than_requests_that_are_available_break_the_queue() {
    let mut it = Bench::new();
    it.reads(1);
    for head in 0..3 {
        it.part().mark(head, head.into());
    }
    it.expect_broken("available index 1 is 65534 entries ahead of 3, ring size 16");
}

#[test]
fn mark_beyond_the_end_of_a_ring_breaks_the_queue() {
    let mut it = Bench::with_region_for(32);
    it.reads(1);
    it.part().mark(20, 0);
    it.expect_broken("head 20 is beyond ring size 16");
}

#[test]
fn head_available_again_after_a_crash_breaks_the_queue() {
    let mut it = Bench::new();
    let head = it.reads(1)[0];
    it.bad.queue.add_head(head);
    it.bad.queue.publish();
    it.part().mark(head, 0);
    it.expect_in_flight_already(head, 1);
}

#[test]
fn head_available_twice_at_a_time_breaks_the_queue() {
    let mut it = Bench::new();
    let head = it.reads(2)[0];
    it.bad.queue.add_head(head);
    it.bad.queue.publish();
    it.expect_in_flight_already(head, 2);
}

#[test]
fn region_that_was_cut_short_later_costs_the_connection() {
    let mut it = Bench::new();
    let life = it.begin();
    assert_eq!(it.bad.read(5, 1), Ok(it.lives.image.sector(5)));
    it.lives.region.as_ref().unwrap().file().set_len(0).unwrap();
    it.bad.submit(&Request::read(5, 1));
    life.frontend.expect_dropped();
    it.lives.region = None;
    let mut anew = it.lives.queue();
    let frontend = it.lives.connect(&life.daemon, 2);
    frontend.start(0, &anew.queue);
    assert_eq!(anew.read(7, 1), Ok(it.lives.image.sector(7)));
    drop(frontend);
    assert_eq!(life.daemon.sigterm().wait(), Exit::Clean);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A driver that breaks the ring itself: its queue stops until the front end starts it again.

use vhost_user_tests::prelude::*;

use super::Bench;

/// The queue 0 is broken; the front end is told, the log says so once, and all else goes on.
#[track_caller]
fn expect_broken(it: Bench, reason: &str) {
    it.bad.queue.expect_broken();
    for _ in 0..10 {
        it.bad.queue.kick();
    }
    it.expect_rest_unharmed(&format!("stopped, its driver broke the ring: {reason}"));
}

#[test]
fn head_beyond_the_ring_breaks_the_queue() {
    for head in [16, 17, u16::MAX] {
        let mut it = Bench::new();
        it.bad.queue.offer(head);
        expect_broken(it, &format!("head {head} is beyond ring size 16"));
    }
}

#[test]
fn available_index_that_jumps_ahead_breaks_the_queue() {
    for ahead in [17, 1000, 0x8000] {
        let it = Bench::new();
        let index = it.bad.queue.available_index() + ahead;
        it.bad.queue.set_available_index(index);
        it.bad.queue.kick();
        let reason = format!("available index {index} is {ahead} entries ahead of 1, ring size 16");
        expect_broken(it, &reason);
    }
}

#[test]
fn available_index_that_goes_back_breaks_the_queue() {
    let it = Bench::new();
    it.bad.queue.set_available_index(0);
    it.bad.queue.kick();
    expect_broken(it, "available index 0 is 65535 entries ahead of 1, ring size 16");
}

#[test]
fn requests_before_the_bad_head_are_given_back() {
    let mut it = Bench::new();
    it.bad.add(&Request::read(2, 1));
    it.bad.add(&Request::read(3, 1));
    it.bad.queue.add_head(999);
    it.bad.queue.publish();
    it.bad.queue.kick();
    for sector in [2, 3] {
        let (_, done) = it.bad.wait();
        assert_eq!((done.status, done.bytes), (Ok(()), it.image.sector(sector)));
    }
    expect_broken(it, "head 999 is beyond ring size 16");
}

#[test]
fn broken_queue_is_served_again_when_the_front_end_restarts_it() {
    let mut it = Bench::new();
    it.bad.queue.offer(16);
    it.bad.queue.expect_broken();
    assert_eq!(it.frontend.get_vring_base(0), 1, "the index of the bad entry");
    let mut again = it.frontend.blk(0, 16);
    assert_eq!(again.read(3, 1), Ok(it.image.sector(3)));
    assert_eq!(it.daemon.descriptors(), it.descriptors);
}

#[test]
fn broken_queue_is_served_on_the_next_connection() {
    let mut it = Bench::new();
    it.bad.queue.offer(16);
    it.bad.queue.expect_broken();
    let Bench { bad, good, frontend, daemon, image, .. } = it;
    drop((bad, good, frontend));
    let mut frontend = Frontend::connect(&daemon).negotiate(USUAL);
    assert_eq!(frontend.blk(0, 16).read(3, 1), Ok(image.sector(3)));
}

#[test]
fn head_that_is_offered_twice_at_once_harms_nobody() {
    let mut it = Bench::new();
    let read = it.read();
    let slots = it.bad.queue.take_slots(3);
    it.bad.queue.chain(&slots, &read.segments(), None);
    it.bad.queue.add_head(slots[0]);
    it.bad.queue.add_head(slots[0]);
    it.bad.queue.publish();
    it.bad.queue.kick();
    for _ in 0..2 {
        assert_eq!(it.bad.queue.wait().head, slots[0]);
    }
    assert_eq!(read.data.bytes(), it.image.sector(3));
    assert_eq!(it.bad.read(5, 1), Ok(it.image.sector(5)));
    assert_eq!(it.good.read(6, 1), Ok(it.image.sector(6)));
}

#[test]
fn used_ring_overwritten_by_the_driver_is_written_on_by_the_device() {
    let mut it = Bench::new();
    it.bad.queue.set_used_index(0x4711);
    it.bad.add(&Request::read(2, 1));
    it.bad.queue.publish();
    it.bad.queue.kick();
    // The device knows its own index: it had given back one request.
    vhost_user_tests::deadline::until("the device's own index in the used ring", || {
        (it.bad.queue.used_index() == 2).then_some(())
    });
    assert_eq!(it.good.read(6, 1), Ok(it.image.sector(6)));
    assert_eq!(it.daemon.descriptors(), it.descriptors);
}

#[test]
fn kicks_without_requests_change_nothing() {
    let mut it = Bench::new();
    for _ in 0..10_000 {
        it.bad.queue.kick();
    }
    assert_eq!(it.bad.read(5, 1), Ok(it.image.sector(5)));
    assert_eq!(it.good.read(6, 1), Ok(it.image.sector(6)));
}

#[test]
fn event_index_that_is_nonsense_costs_the_driver_its_calls_at_most() {
    let mut it = Bench::new();
    for nonsense in [0x8000, 0xffff, 0] {
        it.bad.queue.set_used_event(nonsense);
        it.bad.submit(&Request::read(4, 1));
        assert_eq!(it.bad.watch().1.bytes, it.image.sector(4));
    }
    assert_eq!(it.good.read(6, 1), Ok(it.image.sector(6)));
}

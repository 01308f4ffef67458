// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Who is notified, and who is not: EVENT_IDX, NO_INTERRUPT and NO_NOTIFY.

use vhost_user_tests::deadline::{Deadline, until};
use vhost_user_tests::prelude::*;

/// A served disk whose call at the start has come and is forgotten.
fn quiet(features: u64) -> Served {
    let mut it = Served::blk_with(&[], features);
    assert_eq!(it.disk.read(0, 1), Ok(it.image.sector(0)));
    // By the time that this is answered, all calls for that read have been made.
    assert_eq!(it.frontend.get_vring_base(0), 1);
    it.frontend.start(0, &it.disk.queue);
    // The next read makes it known that the queue has started, and called.
    assert_eq!(it.disk.read(0, 1), Ok(it.image.sector(0)));
    it.frontend.set_features(it.frontend.features()).expect("an ack of SET_FEATURES");
    it.disk.queue.call_fd().take();
    it
}

/// How often the driver has been called, now that the queue is stopped.
fn calls(it: &Served) -> u64 {
    it.frontend.get_vring_base(0);
    it.disk.queue.call_fd().take()
}

#[test]
fn driver_that_asks_for_no_calls_gets_none() {
    let mut it = quiet(VERSION_1);
    it.disk.queue.set_no_interrupt(true);
    for sector in 0..5 {
        it.disk.submit(&Request::read(sector, 1));
        assert_eq!(it.disk.watch().1.status, Ok(()));
    }
    assert_eq!(calls(&it), 0);
}

#[test]
fn driver_that_asks_for_calls_again_gets_them() {
    let mut it = quiet(VERSION_1);
    it.disk.queue.set_no_interrupt(true);
    it.disk.submit(&Request::read(1, 1));
    it.disk.watch();
    it.disk.queue.set_no_interrupt(false);
    it.disk.submit(&Request::read(2, 1));
    assert!(it.disk.queue.call_fd().wait(Deadline::new()) > 0);
    it.disk.watch();
}

#[test]
fn driver_with_event_index_is_called_at_that_index_only() {
    let mut it = quiet(USUAL);
    // Five more requests; a call only for the third of them.
    let next = it.disk.queue.next_unused();
    it.disk.queue.set_used_event(next + 2);
    for sector in 0..2 {
        it.disk.submit(&Request::read(sector, 1));
        it.disk.watch();
    }
    // Applied on the queue before it is answered; so no call for those two is on its way.
    it.frontend.set_features(it.frontend.features()).unwrap();
    assert_eq!(it.disk.queue.call_fd().take(), 0);
    it.disk.submit(&Request::read(2, 1));
    assert_eq!(it.disk.queue.call_fd().wait(Deadline::new()), 1);
    it.disk.watch();
    for sector in 3..5 {
        it.disk.submit(&Request::read(sector, 1));
        it.disk.watch();
    }
    assert_eq!(calls(&it), 0);
}

#[test]
fn driver_with_event_index_ignores_the_flag() {
    let mut it = quiet(USUAL);
    it.disk.queue.set_no_interrupt(true);
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)), "wait() wants a call");
}

#[test]
fn batch_is_called_for_fewer_times_than_it_has_requests() {
    let mut it = Served::blk_with(&[], VERSION_1);
    let mut disk = it.frontend.blk(1, 512);
    until("the call at the start", || (disk.queue.call_fd().take() > 0).then_some(()));
    let reads: Vec<Request> = (0..128).map(|i| Request::read(i % 64, 1)).collect();
    disk.submit_all(&reads);
    for _ in 0..128 {
        assert_eq!(disk.watch().1.status, Ok(()));
    }
    it.frontend.get_vring_base(1);
    let calls = disk.queue.call_fd().take();
    assert!((1..128).contains(&calls), "{calls} calls for 128 requests");
}

#[test]
fn idle_queue_asks_for_a_kick() {
    let mut it = quiet(USUAL);
    until("the device to ask for the next kick", || {
        (it.disk.queue.available_event() == it.disk.queue.available_index()).then_some(())
    });
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));

    let it = quiet(VERSION_1);
    until("the device to ask for kicks", || (it.disk.queue.used_flags() == 0).then_some(()));
}

#[test]
fn requests_one_by_one_are_never_forgotten() {
    for features in [USUAL, VERSION_1] {
        let mut it = Served::blk_with(&[], features);
        let expected = it.image.sector(7);
        for _ in 0..5000 {
            assert_eq!(it.disk.read(7, 1).as_ref(), Ok(&expected));
        }
    }
}

#[test]
fn requests_while_the_device_is_about_to_wait_are_never_forgotten() {
    for features in [USUAL, VERSION_1] {
        let mut it = Served::blk_with(&[], features);
        let mut disk = it.frontend.blk(1, 64);
        let read = Request::read(7, 1);
        for round in 0..3000_u32 {
            // One more request at a time that changes a little from round to round.
            disk.submit(&read);
            for _ in 0..round % 97 {
                std::hint::spin_loop();
            }
            disk.submit(&read);
            disk.wait();
            disk.wait();
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! GET_VRING_BASE: the queue drains, stops, and says where.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use vhost_user_tests::prelude::*;

#[test]
fn stopped_queue_has_given_back_all_it_took() {
    let mut it = Served::blk();
    let mut disk = it.frontend.blk(1, 256);
    for round in 0..10 {
        let reads: Vec<Request> = (0..64).map(|sector| Request::read(sector, 1)).collect();
        disk.submit_all(&reads);
        let base = it.frontend.get_vring_base(1);
        assert_eq!(u32::from(disk.queue.used_index()), base, "in round {round}");
        while disk.queue.next_unused() != disk.queue.used_index() {
            assert_eq!(disk.watch().1.status, Ok(()));
        }
        // What it had not taken is there when it starts again.
        it.frontend.start(1, &disk.queue);
        while disk.in_flight() > 0 {
            assert_eq!(disk.wait().1.status, Ok(()));
        }
    }
}

#[test]
fn stopped_queue_takes_nothing_until_it_starts() {
    let mut it = Served::blk();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    assert_eq!(it.frontend.get_vring_base(0), 1);
    it.disk.submit(&Request::read(2, 1));
    it.disk.queue.kick();
    assert_eq!(it.frontend.get_vring_base(0), 1);
    assert_eq!(it.disk.queue.used(), None);
    it.frontend.start(0, &it.disk.queue);
    assert_eq!(it.disk.wait().1.bytes, it.image.sector(2));
}

#[test]
fn queue_stopped_and_started_many_times_loses_nothing() {
    let mut it = Served::blk();
    let before = it.daemon.descriptors();
    for sector in 0..64 {
        assert_eq!(it.disk.read(sector, 1), Ok(it.image.sector(sector)));
        assert_eq!(it.frontend.get_vring_base(0), u32::try_from(sector).unwrap() + 1);
        it.frontend.start(0, &it.disk.queue);
    }
    assert_eq!(it.daemon.descriptors(), before);
}

#[test]
fn one_queue_stopped_leaves_the_others_running() {
    let mut it = Served::blk();
    let mut other = it.frontend.blk(1, 16);
    it.frontend.get_vring_base(0);
    assert_eq!(other.read(1, 1), Ok(it.image.sector(1)));
}

#[test]
fn kick_descriptor_of_a_stopped_queue_is_closed() {
    let mut it = Served::blk();
    let before = it.daemon.descriptors();
    let other = it.frontend.blk(1, 16);
    it.frontend.get_vring_base(1);
    // The other two may stay for the next start.
    assert!(it.daemon.descriptors() <= before + 2);
    drop(other);
}

#[test]
fn base_said_before_the_start_is_where_the_queue_begins() {
    let mut it = Served::blk();
    let queue = it.frontend.stopped_queue(16).starting_at(1000);
    it.frontend.start(1, &queue);
    let mut disk = BlkQueue::new(queue);
    assert_eq!(disk.read(1, 1), Ok(it.image.sector(1)));
    assert_eq!(it.frontend.get_vring_base(1), 1001);
}

#[test]
fn base_is_known_also_before_the_start() {
    let it = Served::blk();
    it.frontend.set_vring_base(5, 77).unwrap();
    assert_eq!(it.frontend.get_vring_base(5), 77);
}

#[test]
fn queue_that_its_driver_keeps_full_can_be_told_things_and_stopped() {
    let mut it = Served::blk();
    let memory = it.frontend.memory();
    let mut disk = it.frontend.blk(1, 256);
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let read = Request::read(3, 1);
            disk.submit_all(vec![&read; 64]);
            while !stopped.load(Ordering::Relaxed) {
                if disk.queue.used_index() != disk.queue.next_unused() {
                    disk.watch();
                    disk.submit(&read);
                }
            }
        });
        for _ in 0..50 {
            it.frontend.set_mem_table(&memory).unwrap();
        }
        it.frontend.get_vring_base(1);
        stopped.store(true, Ordering::Relaxed);
    });
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! RESET_DEVICE: every queue comes to rest, and all that the driver has set is forgotten; what the
//! front end has shared is not.

use vhost_user_tests::deadline::Deadline;
use vhost_user_tests::prelude::*;

/// The features that the driver acks, and the one that the front end acks.
const FEATURES: u64 = USUAL | PROTOCOL_FEATURES;

#[test]
fn reset_in_the_middle_of_requests_gives_back_all_that_was_taken_and_writes_nothing_more() {
    for round in 0..10 {
        let mut it = Served::blk();
        let mut disk = it.frontend.blk(1, 256);
        let reads: Vec<Request> = (0..64).map(|sector| Request::read(sector, 1)).collect();
        disk.submit_all(&reads);
        it.frontend.reset_device().unwrap();
        let given_back = disk.queue.used_index();
        // What was taken was given back; what was not stays in the ring.
        for _ in 0..given_back {
            assert_eq!(disk.watch().1.status, Ok(()), "in round {round}");
        }
        let left = disk.queue.memory().read(disk.queue.rings().used, 6 + 8 * 256);
        disk.queue.kick();
        it.frontend.let_queues_look();
        let later = disk.queue.memory().read(disk.queue.rings().used, 6 + 8 * 256);
        assert_eq!(later, left, "the used ring is written after the reset");
    }
}

#[test]
fn device_set_up_again_after_a_reset_is_served() {
    let mut it = Served::blk();
    for sector in 0..20 {
        assert_eq!(it.disk.read(sector, 1), Ok(it.image.sector(sector)));
        it.frontend.reset_device().unwrap();
        it.frontend.set_features(FEATURES).unwrap();
        it.disk = it.frontend.blk(0, 16);
    }
    assert_eq!(it.disk.read(30, 1), Ok(it.image.sector(30)));
}

#[test]
fn queues_are_all_stopped_by_a_reset() {
    let mut it = Served::blk();
    let mut disks: Vec<BlkQueue> = (1..4).map(|index| it.frontend.blk(index, 16)).collect();
    for disk in &mut disks {
        assert_eq!(disk.read(1, 1), Ok(it.image.sector(1)));
    }
    it.frontend.reset_device().unwrap();
    for disk in &mut disks {
        disk.submit(&Request::read(2, 1));
        disk.queue.kick();
    }
    it.frontend.let_queues_look();
    assert!(disks.iter_mut().all(|disk| disk.queue.used().is_none()), "a queue goes on");
}

#[test]
fn size_is_forgotten_by_a_reset() {
    let mut it = Served::blk();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    it.frontend.reset_device().unwrap();
    assert_eq!(it.frontend.set_vring_kick(0, it.disk.queue.kick_fd()), Err(Refused));
    assert!(it.daemon.log().has("queue 0 has no size yet"));
}

#[test]
fn index_is_forgotten_by_a_reset() {
    let mut it = Served::blk();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    it.frontend.set_vring_base(7, 1234).unwrap();
    it.frontend.reset_device().unwrap();
    assert_eq!(it.frontend.get_vring_base(0), 0);
    assert_eq!(it.frontend.get_vring_base(7), 0);
}

#[test]
fn addresses_are_forgotten_by_a_reset() {
    let mut it = Served::blk();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    it.frontend.reset_device().unwrap();
    it.frontend.set_features(FEATURES).unwrap();
    it.frontend.set_vring_num(0, 16).unwrap();
    it.frontend.set_vring_base(0, 1).unwrap();
    it.frontend.set_vring_kick(0, it.disk.queue.kick_fd()).unwrap();
    it.frontend.set_vring_enable(0, true).unwrap();
    it.disk.submit(&Request::read(2, 1));
    it.disk.queue.kick();
    it.frontend.let_queues_look();
    assert_eq!(it.frontend.get_vring_base(0), 1, "a request was taken from where the ring was");
}

#[test]
fn enabling_is_forgotten_by_a_reset() {
    let mut it = Served::blk();
    it.frontend.reset_device().unwrap();
    it.frontend.set_features(FEATURES).unwrap();
    let mut disk = BlkQueue::new(it.frontend.stopped_queue(16));
    it.frontend.prepare(0, &disk.queue);
    it.frontend.set_vring_kick(0, disk.queue.kick_fd()).unwrap();
    disk.submit(&Request::read(2, 1));
    disk.queue.kick();
    it.frontend.let_queues_look();
    assert_eq!(disk.queue.used(), None, "a request taken from a queue that is not enabled");
    it.frontend.set_vring_enable(0, true).unwrap();
    assert_eq!(disk.wait().1.bytes, it.image.sector(2));
}

#[test]
fn features_are_forgotten_by_a_reset() {
    // Without the protocol's own, a queue need not be enabled.
    let mut it = Served::blk();
    it.frontend.reset_device().unwrap();
    let queue = Queue::new(&it.frontend.memory(), 16, false);
    it.frontend.prepare(0, &queue);
    it.frontend.set_vring_kick(0, queue.kick_fd()).unwrap();
    let mut disk = BlkQueue::new(queue);
    assert_eq!(disk.read(2, 1), Ok(it.image.sector(2)));
    // Without EVENT_IDX, the flag counts. No call is on its way when the last one was answered.
    it.frontend.get_vring_base(0);
    disk.queue.call_fd().take();
    disk.queue.set_no_interrupt(true);
    it.frontend.start(0, &disk.queue);
    let started = disk.queue.call_fd().wait(Deadline::new());
    assert_eq!(started, 1, "the call at the start");
    disk.submit(&Request::read(3, 1));
    disk.watch();
    it.frontend.get_vring_base(0);
    assert_eq!(disk.queue.call_fd().take(), 0);
}

#[test]
fn status_is_forgotten_by_a_reset() {
    let it = Served::blk();
    it.frontend.set_status(15).unwrap();
    it.frontend.reset_device().unwrap();
    assert_eq!(it.frontend.get_status(), 0);
}

#[test]
fn kick_descriptor_is_closed_by_a_reset() {
    let it = Served::blk();
    let before = it.daemon.descriptors();
    it.frontend.reset_device().unwrap();
    assert_eq!(it.daemon.descriptors(), before - 1);
}

#[test]
fn call_and_err_descriptors_outlive_a_reset() {
    let mut it = Served::blk();
    it.frontend.reset_device().unwrap();
    it.frontend.set_features(FEATURES).unwrap();
    let memory = it.frontend.memory();
    let queue = Queue::new(&memory, 16, true);
    it.frontend.set_vring_num(0, 16).unwrap();
    it.frontend.set_vring_addr(0, queue.rings(), &memory).unwrap();
    it.disk.queue.call_fd().take();
    it.frontend.set_vring_kick(0, queue.kick_fd()).unwrap();
    it.frontend.set_vring_enable(0, true).unwrap();
    assert!(it.disk.queue.call_fd().wait(Deadline::new()) > 0);
    let mut bad = queue;
    bad.offer(999);
    it.disk.queue.expect_broken();
}

#[test]
fn memory_outlives_a_reset() {
    let mut it = Served::blk();
    let mappings = it.daemon.guest_mappings();
    it.frontend.reset_device().unwrap();
    assert_eq!(it.daemon.guest_mappings(), mappings);
    it.frontend.set_features(FEATURES).unwrap();
    let mut disk = it.frontend.blk(3, 16);
    assert_eq!(disk.read(2, 1), Ok(it.image.sector(2)));
}

#[test]
fn device_that_was_never_started_can_be_reset() {
    let (image, _daemon, frontend) = crate::stranger();
    let mut frontend = frontend.negotiate(USUAL);
    frontend.reset_device().unwrap();
    frontend.set_features(FEATURES).unwrap();
    assert_eq!(frontend.blk(0, 16).read(1, 1), Ok(image.sector(1)));
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! SET_VRING_ENABLE, at any time.

use vhost_user_tests::prelude::*;

use crate::stranger;

/// Starts a queue 0 without a word about whether it is enabled.
fn started(frontend: &mut Frontend) -> BlkQueue {
    let queue = frontend.stopped_queue(16);
    frontend.prepare(0, &queue);
    frontend.set_vring_kick(0, queue.kick_fd()).expect("an ack of SET_VRING_KICK");
    BlkQueue::new(queue)
}

/// The device leaves the request where it is.
#[track_caller]
fn expect_left(frontend: &Frontend, disk: &mut BlkQueue) {
    disk.queue.kick();
    frontend.let_queues_look();
    assert_eq!(disk.queue.used(), None, "a request taken from a disabled queue");
}

#[test]
fn queue_enabled_before_the_features_is_served() {
    // QEMU's network device does it in this order.
    let (image, _daemon, mut frontend) = stranger();
    frontend.set_owner().unwrap();
    frontend.set_protocol_features(Protocol::REPLY_ACK).unwrap();
    frontend.set_vring_enable(0, true).unwrap();
    frontend.set_features(USUAL | PROTOCOL_FEATURES).unwrap();
    let mut disk = started(&mut frontend);
    assert_eq!(disk.read(1, 1), Ok(image.sector(1)));
}

#[test]
fn queues_that_are_never_configured_can_be_enabled() {
    // QEMU's block device enables all its queues, whichever the driver set up.
    let mut it = Served::blk();
    for index in 0..64 {
        it.frontend.set_vring_enable(index, true).unwrap();
    }
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    for index in 1..64 {
        it.frontend.set_vring_enable(index, false).unwrap();
    }
    assert_eq!(it.disk.read(2, 1), Ok(it.image.sector(2)));
}

#[test]
fn queue_that_was_not_enabled_leaves_requests_until_it_is() {
    let mut it = Served::blk();
    it.frontend.get_vring_base(0);
    it.frontend.set_vring_enable(0, false).unwrap();
    let mut disk = started(&mut it.frontend);
    disk.submit(&Request::read(3, 1));
    expect_left(&it.frontend, &mut disk);
    it.frontend.set_vring_enable(0, true).unwrap();
    assert_eq!(disk.wait().1.bytes, it.image.sector(3));
}

#[test]
fn queue_disabled_while_it_runs_leaves_requests_until_it_is_enabled() {
    let mut it = Served::blk();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    it.frontend.set_vring_enable(0, false).unwrap();
    it.disk.submit(&Request::read(3, 1));
    expect_left(&it.frontend, &mut it.disk);
    it.frontend.set_vring_enable(0, true).unwrap();
    assert_eq!(it.disk.wait().1.bytes, it.image.sector(3));
}

#[test]
fn disabled_queue_does_not_disable_another() {
    let mut it = Served::blk();
    let mut other = it.frontend.blk(1, 16);
    it.frontend.set_vring_enable(0, false).unwrap();
    assert_eq!(other.read(1, 1), Ok(it.image.sector(1)));
}

#[test]
fn queue_stays_enabled_when_features_are_set_again() {
    let mut it = Served::blk();
    it.frontend.set_features(USUAL | PROTOCOL_FEATURES).unwrap();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
}

#[test]
fn queue_stays_disabled_when_features_are_set_again() {
    let mut it = Served::blk();
    it.frontend.set_vring_enable(0, false).unwrap();
    it.frontend.set_features(USUAL | PROTOCOL_FEATURES).unwrap();
    it.disk.submit(&Request::read(3, 1));
    expect_left(&it.frontend, &mut it.disk);
}

#[test]
fn queue_without_protocol_features_counts_as_enabled() {
    let (image, _daemon, mut frontend) = stranger();
    frontend.agree(VERSION_1, Protocol::empty());
    let mut disk = started(&mut frontend);
    assert_eq!(disk.read(1, 1), Ok(image.sector(1)));
}

#[test]
fn queue_with_protocol_features_starts_disabled() {
    let (_image, _daemon, mut frontend) = stranger();
    frontend.agree(USUAL | PROTOCOL_FEATURES, Protocol::REPLY_ACK);
    let mut disk = started(&mut frontend);
    disk.submit(&Request::read(3, 1));
    expect_left(&frontend, &mut disk);
}

#[test]
fn queue_enabled_by_one_connection_starts_disabled_on_the_next() {
    let it = Served::blk();
    let Served { disk, frontend, daemon, image: _image } = it;
    drop((disk, frontend));
    let mut frontend = Frontend::connect(&daemon).negotiate(USUAL);
    let mut disk = started(&mut frontend);
    disk.submit(&Request::read(3, 1));
    expect_left(&frontend, &mut disk);
}

#[test]
fn queue_stays_enabled_over_a_stop() {
    let mut it = Served::blk();
    it.frontend.get_vring_base(0);
    let mut disk = started(&mut it.frontend);
    assert_eq!(disk.read(1, 1), Ok(it.image.sector(1)));
}

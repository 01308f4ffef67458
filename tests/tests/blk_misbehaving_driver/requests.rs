// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Chains that are right as chains and wrong as requests.

use vhost_user_tests::prelude::*;

use super::Bench;

#[test]
fn request_without_a_status_is_given_back() {
    let mut it = Bench::new();
    let [header, ..] = it.read().segments();
    let slots = it.bad.queue.take_slots(1);
    it.bad.queue.chain(&slots, &[header], None);
    it.offer_unserved(slots[0]);
    it.expect_rest_unharmed("request without a byte for its status");
}

#[test]
fn request_without_a_header_is_an_error() {
    let mut it = Bench::new();
    let read = it.read();
    let [_, data, status] = read.segments();
    let slots = it.bad.queue.take_slots(2);
    it.bad.queue.chain(&slots, &[data, status], None);
    it.bad.queue.offer(slots[0]);
    assert_eq!(it.bad.queue.wait(), Used { head: slots[0], len: 1 });
    assert_eq!(read.status.bytes(), [1], "VIRTIO_BLK_S_IOERR");
    assert_eq!(read.data.bytes(), [0xee; SECTOR]);
    it.expect_rest_unharmed("request header of 0 bytes, not 16");
}

#[test]
fn request_with_half_a_header_is_an_error() {
    let mut it = Bench::new();
    let read = it.read();
    let [header, data, status] = read.segments();
    let slots = it.bad.queue.take_slots(3);
    it.bad.queue.chain(&slots, &[Segment { len: 15, ..header }, data, status], None);
    it.bad.queue.offer(slots[0]);
    assert_eq!(it.bad.queue.wait(), Used { head: slots[0], len: 1 });
    assert_eq!(read.status.bytes(), [1], "VIRTIO_BLK_S_IOERR");
    assert_eq!(read.data.bytes(), [0xee; SECTOR]);
    it.expect_rest_unharmed("request header of 15 bytes, not 16");
}

#[test]
fn request_past_the_end_again_and_again_is_logged_once() {
    let mut it = Bench::new();
    for _ in 0..1000 {
        assert_eq!(it.bad.read(1 << 40, 1), Err(Status::IoErr));
    }
    it.expect_rest_unharmed("read sector 1099511627776 + 1 past end 64");
}

#[test]
fn read_over_its_own_header_and_status_harms_nobody() {
    let mut it = Bench::new();
    let read = it.read();
    let [header, ..] = read.segments();
    let slots = it.bad.queue.take_slots(3);
    let over = Segment::writable(header.address, SECTOR);
    let status = Segment::writable(header.address, 1);
    it.bad.queue.chain(&slots, &[header, over, status], None);
    it.bad.queue.offer(slots[0]);
    assert_eq!(it.bad.queue.wait(), Used { head: slots[0], len: 513 });
    assert_eq!(it.good.read(6, 2), Ok(it.image.sectors(6, 2)));
    assert_eq!(it.bad.read(5, 1), Ok(it.image.sector(5)));
}

#[test]
fn read_over_the_rings_harms_only_their_queue() {
    let mut it = Bench::new();
    let read = it.read();
    let [header, _, status] = read.segments();
    let rings = it.bad.queue.rings();
    let slots = it.bad.queue.take_slots(3);
    let over = Segment::writable(rings.descriptors, SECTOR);
    it.bad.queue.chain(&slots, &[header, over, status], None);
    it.bad.queue.offer(slots[0]);
    // What the device then takes for its rings, and may serve some of, soon makes no sense to it.
    it.bad.queue.expect_broken();
    assert_eq!(it.good.read(6, 2), Ok(it.image.sectors(6, 2)));
    assert!(it.frontend.is_served());
}

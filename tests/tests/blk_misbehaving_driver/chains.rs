// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Chains of direct descriptors that lead nowhere, or not where they should.

use vhost_user_tests::driver::{NEXT, WRITE};
use vhost_user_tests::prelude::*;

use super::Bench;

#[test]
fn chain_that_loops_on_its_first_descriptor_is_given_back() {
    let mut it = Bench::new();
    let header = it.read().segments()[0];
    let slots = it.bad.queue.take_slots(1);
    it.bad.queue.chain(&slots, &[header], Some(slots[0]));
    it.expect_bad_chain(slots[0], "chain has more than 16 descriptors");
}

#[test]
fn chain_that_loops_over_two_descriptors_is_given_back() {
    let mut it = Bench::new();
    let [_, data, status] = it.read().segments();
    let slots = it.bad.queue.take_slots(2);
    it.bad.queue.chain(&slots, &[data, status], Some(slots[0]));
    it.expect_bad_chain(slots[0], "chain has more than 16 descriptors");
}

#[test]
fn chain_that_goes_on_beyond_the_ring_is_given_back() {
    for next in [16, 17, u16::MAX] {
        let mut it = Bench::new();
        let read = it.read();
        let slots = it.bad.queue.take_slots(3);
        it.bad.queue.chain(&slots, &read.segments(), Some(next));
        it.expect_bad_chain(slots[0], &format!("descriptor {next} is beyond ring size 16"));
        read.expect_untouched();
    }
}

#[test]
fn descriptor_of_length_zero_is_given_back() {
    for which in [0, 1, 2] {
        let mut it = Bench::new();
        let read = it.read();
        let mut segments = read.segments();
        segments[which].len = 0;
        let slots = it.bad.queue.take_slots(3);
        it.bad.queue.chain(&slots, &segments, None);
        it.expect_bad_chain(slots[0], "descriptor of length 0");
        read.expect_untouched();
    }
}

#[test]
fn readable_descriptor_after_a_writable_one_is_given_back() {
    let mut it = Bench::new();
    let read = it.read();
    let [header, data, status] = read.segments();
    let slots = it.bad.queue.take_slots(3);
    it.bad.queue.chain(&slots, &[data, header, status], None);
    it.expect_bad_chain(slots[0], "device-readable descriptor after a device-writable one");
    read.expect_untouched();
}

#[test]
fn chain_that_loops_over_nearly_all_descriptors_is_given_back() {
    let mut it = Bench::new();
    let read = it.read();
    let data = Segment::writable(read.data.address(), 1);
    let slots = it.bad.queue.take_slots(13);
    let cycle = [&slots[..], &slots[..1]].concat();
    for pair in cycle.windows(2) {
        let flags = NEXT | WRITE;
        let (address, len) = (data.address, data.len);
        it.bad.queue.describe(pair[0], Descriptor { address, len, flags, next: pair[1] });
    }
    it.expect_bad_chain(slots[0], "chain has more than 16 descriptors");
    read.expect_untouched();
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Descriptors whose buffers are not guest memory, or not wholly.

use vhost_user_tests::memory::BASE;
use vhost_user_tests::prelude::*;

use crate::Bench;

const MIB: u64 = 1 << 20;

/// The driver reads a sector to `address`, of which this much is no guest memory.
#[track_caller]
fn expect_outside(mut it: Bench, address: u64, len: usize) {
    let read = it.read();
    let [header, _, status] = read.segments();
    let slots = it.bad.queue.take_slots(3);
    let data = Segment::writable(address, len);
    it.bad.queue.chain(&slots, &[header, data, status], None);
    let reason = format!(
        "descriptor's buffer: guest addresses {address:#x} + {len:#x} are not all guest memory"
    );
    it.expect_bad_chain(slots[0], &reason);
    read.expect_untouched();
}

/// The guest's memory: `[BASE, BASE + 8 MiB)`, unless a test says otherwise.
fn end() -> u64 {
    BASE + 8 * MIB
}

#[test]
fn buffer_before_all_memory_is_given_back() {
    expect_outside(Bench::new(), 0, SECTOR);
    expect_outside(Bench::new(), BASE - 1, SECTOR);
}

#[test]
fn buffer_behind_all_memory_is_given_back() {
    expect_outside(Bench::new(), end(), SECTOR);
    expect_outside(Bench::new(), end() - 1, SECTOR);
    expect_outside(Bench::new(), end() - 511, SECTOR);
}

#[test]
fn buffer_that_wraps_around_the_address_space_is_given_back() {
    expect_outside(Bench::new(), u64::MAX, SECTOR);
    expect_outside(Bench::new(), u64::MAX - 511, SECTOR);
    expect_outside(Bench::new(), u64::MAX - 510, SECTOR);
}

#[test]
fn buffer_of_almost_four_gib_is_given_back() {
    expect_outside(Bench::new(), BASE, 0xffff_fe00);
}

#[test]
fn buffer_at_a_user_address_is_given_back() {
    let it = Bench::new();
    let address = it.memory.user_address(BASE);
    expect_outside(it, address, SECTOR);
}

#[test]
fn header_outside_memory_is_given_back() {
    let mut it = Bench::new();
    let read = it.read();
    let [_, data, status] = read.segments();
    let slots = it.bad.queue.take_slots(3);
    it.bad.queue.chain(&slots, &[Segment::readable(0x40, 16), data, status], None);
    let reason = "descriptor's buffer: guest addresses 0x40 + 0x10 are not all guest memory";
    it.expect_bad_chain(slots[0], reason);
    read.expect_untouched();
}

#[test]
fn buffer_over_a_hole_between_regions_is_given_back() {
    let regions = [RegionAt::new(BASE, MIB), RegionAt::new(BASE + MIB + 4096, MIB)];
    let memory = GuestMemory::of_regions(&regions);
    expect_outside(Bench::on(&[], USUAL, &memory), BASE + MIB - 256, SECTOR);
    let memory = GuestMemory::of_regions(&regions);
    expect_outside(Bench::on(&[], USUAL, &memory), BASE + MIB - 256, 256 + 4096 + 256);
}

#[test]
fn buffer_over_regions_that_touch_only_in_user_addresses_is_given_back() {
    // User addresses go down from region to region; no two ranges touch, and yet a device that
    // took one mapping for the other would not notice.
    let regions = [RegionAt::new(BASE + 64 * MIB, MIB), RegionAt::new(BASE, MIB)];
    let memory = GuestMemory::of_regions(&regions);
    expect_outside(Bench::on(&[], USUAL, &memory), BASE + MIB - 1, SECTOR);
}

#[test]
fn buffers_of_more_than_four_gib_in_all_are_given_back() {
    let memory =
        GuestMemory::of_regions(&[RegionAt::new(BASE, MIB), RegionAt::new(1 << 32, 1 << 30)]);
    let mut it = Bench::on(&[], USUAL, &memory);
    let read = it.read();
    let huge = Segment::writable(1 << 32, 1 << 30);
    let slots = it.bad.queue.take_slots(6);
    let [header, _, status] = read.segments();
    it.bad.queue.chain(&slots, &[header, huge, huge, huge, huge, status], None);
    it.expect_bad_chain(slots[0], "buffers of more than 4 GiB");
    read.expect_untouched();
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Descriptors whose buffers are not guest memory, or not wholly, or lie all over it.

use std::fs::File;
use std::os::unix::fs::FileExt;

use vhost_user_tests::memory::BASE;
use vhost_user_tests::prelude::*;

use super::Bench;

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

/// Guest memory in scraps that touch each other: their first address, their length in bytes, and
/// how many there are.
const SCRAPS_AT: u64 = 1 << 36;
const SCRAP: u64 = 32;
const SCRAPS: u64 = 496;

/// Tells the device of the scraps, each in a page of its own of one file.
fn share_scraps(it: &mut Bench) -> File {
    let pages = GuestMemory::new(SCRAPS * 4096);
    let file = pages.regions()[0].file().try_clone().expect("one descriptor more");
    for i in 0..SCRAPS {
        let user = (1 << 44) + i * 4096;
        let scrap = VhostUserMemoryRegion::new(SCRAPS_AT + i * SCRAP, SCRAP, user, i * 4096);
        let message = Message::mem_region(FrontendReq::ADD_MEM_REG, &scrap).descriptor(&file);
        it.frontend.tell(message).expect("an ack of ADD_MEM_REG");
    }
    it.descriptors = it.daemon.descriptors();
    file
}

/// A buffer over so many scraps.
fn over_scraps(count: u64) -> Segment {
    Segment::writable(SCRAPS_AT, usize::try_from(count * SCRAP).expect("a short length"))
}

#[test]
fn buffer_over_hundreds_of_regions_is_served() {
    let mut it = Bench::new();
    let file = share_scraps(&mut it);
    let read = it.read();
    let [header, _, status] = read.segments();
    it.bad.queue.submit(&[header, over_scraps(SCRAPS), status]);
    assert_eq!(it.bad.queue.wait().len, 31 * 512 + 1);
    assert_eq!(read.status.bytes(), [0]);
    let expected = it.image.sectors(3, 31);
    for (i, expected) in (0..).zip(expected.chunks(32)) {
        let mut scrap = [0; 32];
        file.read_exact_at(&mut scrap, i * 4096).unwrap();
        assert_eq!(scrap, expected, "scrap {i}");
    }
}

#[test]
fn chain_of_more_pieces_than_any_driver_needs_is_given_back() {
    let mut it = Bench::with(&["--queue-size", "16"], USUAL);
    share_scraps(&mut it);
    let read = it.read();
    let [header, _, status] = read.segments();
    let whole = over_scraps(SCRAPS);
    let slots = it.bad.queue.take_slots(5);
    // As many as it may have: it is walked, and fails only since the disk has not so much.
    let most = [header, whole, whole, over_scraps(46), status];
    it.bad.queue.chain(&slots, &most, None);
    it.bad.queue.offer(slots[0]);
    assert_eq!(it.bad.queue.wait(), Used { head: slots[0], len: 1 });
    assert_eq!(read.status.bytes(), [1], "VIRTIO_BLK_S_IOERR");

    read.status.write(&[0xff]);
    let one_more = [header, whole, whole, over_scraps(47), status];
    it.bad.queue.chain(&slots, &one_more, None);
    it.expect_bad_chain(slots[0], "chain has more than 1040 pieces of memory");
    read.expect_untouched();
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

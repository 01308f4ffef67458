// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Indirect tables that break the rules (virtio 1.3, section 2.7.5.3).

use vhost_user_tests::driver::{INDIRECT, NEXT};
use vhost_user_tests::memory::Buffer;
use vhost_user_tests::prelude::*;

use super::{Bench, Read};

/// The descriptors of a good read, in the order of a table.
fn entries(read: &Read) -> Vec<Descriptor> {
    let [header, data, status] = read.segments();
    vec![header.before(1), data.before(2), status.last()]
}

/// The descriptor of `len` bytes of table at `address`.
fn pointing(address: u64, len: u32) -> Descriptor {
    Descriptor { address, len, flags: INDIRECT, next: 0 }
}

/// The descriptor of the whole table.
fn pointing_to(table: &Buffer) -> Descriptor {
    pointing(table.address(), u32::try_from(table.len()).expect("the length of a table"))
}

/// The driver offers a read by way of `table`, in vain.
#[track_caller]
fn expect_bad_table(mut it: Bench, read: &Read, table: &[Descriptor], reason: &str) {
    let table = it.bad.queue.table(table);
    let slots = it.bad.queue.take_slots(1);
    it.bad.queue.describe(slots[0], pointing_to(&table));
    it.expect_bad_chain(slots[0], reason);
    read.expect_untouched();
}

#[test]
fn table_without_the_feature_is_given_back() {
    let it = Bench::with(&[], USUAL & !INDIRECT_DESC);
    let read = it.read();
    let reason = "indirect descriptor, which the driver did not negotiate";
    expect_bad_table(it, &read, &entries(&read), reason);
}

#[test]
fn table_within_a_table_is_given_back() {
    let it = Bench::new();
    let read = it.read();
    let inner = it.bad.queue.table(&entries(&read));
    let reason = "indirect descriptor within an indirect table";
    expect_bad_table(it, &read, &[pointing_to(&inner)], reason);
}

#[test]
fn table_that_contains_itself_is_given_back() {
    let mut it = Bench::new();
    let read = it.read();
    let table = it.bad.queue.table(&[Descriptor::default()]);
    table.write(&pointing_to(&table).bytes());
    let slots = it.bad.queue.take_slots(1);
    it.bad.queue.describe(slots[0], pointing_to(&table));
    it.expect_bad_chain(slots[0], "indirect descriptor within an indirect table");
    read.expect_untouched();
}

#[test]
fn table_with_a_next_descriptor_is_given_back() {
    let mut it = Bench::new();
    let read = it.read();
    let table = it.bad.queue.table(&entries(&read));
    let slots = it.bad.queue.take_slots(2);
    let descriptor = pointing_to(&table);
    let both = Descriptor { flags: INDIRECT | NEXT, next: slots[1], ..descriptor };
    it.bad.queue.describe(slots[0], both);
    it.bad.queue.describe(slots[1], read.segments()[2].last());
    it.expect_bad_chain(slots[0], "indirect descriptor with NEXT");
    read.expect_untouched();
}

#[test]
fn table_of_a_length_that_is_no_number_of_entries_is_given_back() {
    for len in [0, 1, 15, 17, 47, u32::MAX] {
        let mut it = Bench::new();
        let read = it.read();
        let table = it.bad.queue.table(&entries(&read));
        let slots = it.bad.queue.take_slots(1);
        it.bad.queue.describe(slots[0], pointing(table.address(), len));
        it.expect_bad_chain(slots[0], &format!("indirect table of {len} bytes"));
        read.expect_untouched();
    }
}

#[test]
fn table_outside_memory_is_given_back() {
    for address in [0, u64::MAX - 15, u64::MAX - 47, (8 << 20) + (1 << 20) - 16] {
        let mut it = Bench::new();
        let slots = it.bad.queue.take_slots(1);
        it.bad.queue.describe(slots[0], pointing(address, 48));
        let reason = format!("guest addresses {address:#x} + 0x30 are not all guest memory");
        it.expect_bad_chain(slots[0], &format!("descriptor's buffer: {reason}"));
    }
}

#[test]
fn entry_that_goes_on_beyond_its_table_is_given_back() {
    for next in [3, 4, u16::MAX] {
        let it = Bench::new();
        let read = it.read();
        let mut table = entries(&read);
        table[2] = read.segments()[2].before(next);
        let reason = format!("entry {next} is beyond an indirect table of 3");
        expect_bad_table(it, &read, &table, &reason);
    }
}

#[test]
fn table_that_loops_is_given_back() {
    let it = Bench::with(&["--queue-size", "64"], USUAL);
    let read = it.read();
    let [_, data, _] = read.segments();
    let table = [data.before(1), data.before(0)];
    expect_bad_table(it, &read, &table, "chain has more than 64 descriptors");
}

#[test]
fn table_longer_than_the_devices_longest_queue_is_given_back() {
    let it = Bench::with(&["--queue-size", "32"], USUAL);
    let read = it.read();
    let byte = Segment::readable(read.header.address(), 1);
    let mut table: Vec<Descriptor> = (1..33).map(|next| byte.before(next)).collect();
    table.push(read.segments()[2].last());
    expect_bad_table(it, &read, &table, "chain has more than 32 descriptors");
}

#[test]
fn table_as_long_as_the_devices_longest_queue_is_served_on_a_shorter_one() {
    let mut it = Bench::with(&["--queue-size", "32"], USUAL);
    let cuts = [vec![17; 30], vec![3]].concat();
    let request = Request::read(3, 1).cut_writable(&cuts).indirect();
    let done = it.bad.request(&request);
    assert_eq!((done.status, done.bytes), (Ok(()), it.image.sector(3)));
}

#[test]
fn entry_with_a_buffer_outside_memory_is_given_back() {
    let it = Bench::new();
    let read = it.read();
    let mut table = entries(&read);
    table[1].address = 0x1234;
    let reason = "descriptor's buffer: guest addresses 0x1234 + 0x200 are not all guest memory";
    expect_bad_table(it, &read, &table, reason);
}

#[test]
fn table_behind_direct_descriptors_counts_with_them() {
    let mut it = Bench::with(&["--queue-size", "16"], USUAL);
    let read = it.read();
    let byte = Segment::readable(read.header.address(), 1);
    let mut entries: Vec<Descriptor> = (1..15).map(|next| byte.before(next)).collect();
    entries.push(read.segments()[2].last());
    let table = it.bad.queue.table(&entries);
    let slots = it.bad.queue.take_slots(3);
    it.bad.queue.chain(&slots[..2], &[byte, byte], Some(slots[2]));
    it.bad.queue.describe(slots[2], pointing_to(&table));
    it.expect_bad_chain(slots[0], "chain has more than 16 descriptors");
    read.expect_untouched();
}

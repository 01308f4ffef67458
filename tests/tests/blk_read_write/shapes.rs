// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! How a request may be cut into descriptors.

use vhost_user_tests::prelude::*;

use super::foreign;

#[test]
fn header_in_single_bytes_is_understood() {
    let mut it = Served::blk_with(&[], VERSION_1 | INDIRECT_DESC);
    let request = Request::read(7, 1).cut_readable(&[1; 16]).indirect();
    assert_eq!(it.disk.request(&request).bytes, it.image.sector(7));
}

#[test]
fn header_and_data_in_one_descriptor_are_understood() {
    let mut it = Served::blk();
    let request = Request::write(7, &foreign(1)).cut_readable(&[528]);
    assert_eq!(it.disk.request(&request).status, Ok(()));
    assert_eq!(it.image.sector(7), foreign(1));
}

#[test]
fn header_cut_within_its_sector_and_data_within_theirs_are_understood() {
    let mut it = Served::blk();
    let request = Request::write(7, &foreign(1)).cut_readable(&[11, 12, 5, 500]);
    assert_eq!(it.disk.request(&request).status, Ok(()));
    assert_eq!(it.image.sector(7), foreign(1));
}

#[test]
fn status_in_one_descriptor_with_the_data_is_written() {
    let mut it = Served::blk();
    let done = it.disk.request(&Request::read(7, 1).cut_writable(&[513]));
    assert_eq!((done.status, done.bytes), (Ok(()), it.image.sector(7)));
    let done = it.disk.request(&Request::read(7, 1).cut_writable(&[3, 510]));
    assert_eq!((done.status, done.bytes), (Ok(()), it.image.sector(7)));
}

#[test]
fn read_in_as_many_segments_as_allowed_is_served() {
    let mut it = Served::blk();
    let mut cuts = vec![256; 126];
    cuts.push(1);
    let request = Request::read(0, 63).cut_writable(&cuts).indirect();
    let done = it.disk.request(&request);
    assert_eq!((done.status, done.bytes), (Ok(()), it.image.sectors(0, 63)));
}

#[test]
fn write_in_odd_segments_is_served() {
    let mut it = Served::blk();
    let cuts = [16, 1, 2, 3, 506, 511, 1, 512];
    let request = Request::write(1, &foreign(3)).cut_readable(&cuts).indirect();
    assert_eq!(it.disk.request(&request).status, Ok(()));
    assert_eq!(it.image.sectors(1, 3), foreign(3));
}

#[test]
fn chain_of_the_whole_ring_is_served() {
    let mut it = Served::blk();
    let mut cuts = vec![36; 14];
    cuts.extend([9]);
    let done = it.disk.request(&Request::read(2, 1).cut_writable(&cuts));
    assert_eq!((done.status, done.bytes), (Ok(()), it.image.sector(2)));
}

#[test]
fn table_behind_a_direct_descriptor_continues_the_chain() {
    let mut it = Served::blk();
    let memory = it.frontend.memory();
    let (header, rest) = (memory.buffer(16), memory.buffer(513));
    header.write(&[&[0; 8][..], &11u64.to_le_bytes()].concat());
    let [data, status] =
        [(0, 512), (512, 1)].map(|(from, len)| Segment::writable(rest.address() + from, len));
    let table = it.disk.queue.table(&[data.before(1), status.last()]);
    let slots = it.disk.queue.take_slots(2);
    let first = Segment::readable(header.address(), 16).before(slots[1]);
    it.disk.queue.describe(slots[0], first);
    let indirect = Segment::readable(table.address(), table.len()).last();
    let flags = vhost_user_tests::driver::INDIRECT;
    it.disk.queue.describe(slots[1], Descriptor { flags, ..indirect });
    it.disk.queue.offer(slots[0]);
    let used = it.disk.queue.wait();
    assert_eq!((used.head, used.len), (slots[0], 513));
    assert_eq!(rest.bytes(), [&it.image.sector(11)[..], &[0]].concat());
}

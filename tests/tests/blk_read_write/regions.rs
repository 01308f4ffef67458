// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Guest memory of several regions.

use vhost_user_tests::memory::BASE;
use vhost_user_tests::prelude::*;

use super::foreign;

const MIB: u64 = 1 << 20;

/// A disk whose guest has three regions: the first two touch, the third is far away.
fn served() -> (Served, GuestMemory) {
    let regions = [
        RegionAt::new(BASE, MIB),
        RegionAt { offset: 0x3000, ..RegionAt::new(BASE + MIB, MIB) },
        RegionAt::new(1 << 40, MIB),
    ];
    let memory = GuestMemory::of_regions(&regions);
    let image = Image::of_sectors(64);
    let daemon = Daemon::blk().image(&image).start();
    let mut frontend = Frontend::connect(&daemon).negotiate(USUAL).share(&memory);
    let disk = frontend.blk(0, 16);
    (Served { disk, frontend, daemon, image }, memory)
}

#[test]
fn data_across_the_border_of_touching_regions_is_served() {
    let (mut it, memory) = served();
    for before_the_border in [1, 512, 2000] {
        let writable = memory.buffer_at(BASE + MIB - before_the_border, 4 * SECTOR + 1);
        it.disk.add_in(&Request::read(8, 4), memory.buffer(16), writable);
        it.disk.queue.publish();
        it.disk.queue.kick();
        let (_, done) = it.disk.wait();
        assert_eq!((done.status, done.bytes), (Ok(()), it.image.sectors(8, 4)));
    }
}

#[test]
fn status_behind_the_border_is_written() {
    let (mut it, memory) = served();
    let writable = memory.buffer_at(BASE + MIB - 512, 513);
    let request = Request::read(8, 1).cut_writable(&[513]);
    it.disk.add_in(&request, memory.buffer(16), writable);
    it.disk.queue.publish();
    it.disk.queue.kick();
    let (_, done) = it.disk.wait();
    assert_eq!((done.status, done.bytes), (Ok(()), it.image.sector(8)));
}

#[test]
fn header_across_the_border_is_understood() {
    let (mut it, memory) = served();
    let readable = memory.buffer_at(BASE + MIB - 9, 16 + SECTOR);
    it.disk.add_in(&Request::write(8, &foreign(1)), readable, memory.buffer(1));
    it.disk.queue.publish();
    it.disk.queue.kick();
    assert_eq!(it.disk.wait().1.status, Ok(()));
    assert_eq!(it.image.sector(8), foreign(1));
}

#[test]
fn request_in_all_regions_at_once_is_served() {
    let (mut it, memory) = served();
    let readable = memory.buffer_at((1 << 40) + 4096, 16);
    let writable = memory.buffer_at(BASE + MIB + 4096, 513);
    it.disk.add_in(&Request::read(60, 1), readable, writable);
    it.disk.queue.publish();
    it.disk.queue.kick();
    let (_, done) = it.disk.wait();
    assert_eq!((done.status, done.bytes), (Ok(()), it.image.sector(60)));
}

#[test]
fn queue_in_another_region_than_its_buffers_is_served() {
    let (it, memory) = served();
    let far = 1 << 40;
    let parts =
        [(0, 256), (1024, 38), (2048, 134)].map(|(from, len)| memory.buffer_at(far + from, len));
    let queue = Queue::in_parts(&memory, 16, true, parts);
    it.frontend.start(1, &queue);
    let mut disk = BlkQueue::new(queue);
    assert_eq!(disk.read(5, 1), Ok(it.image.sector(5)));
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Memory tables in every order, and changes of memory under running queues.

use vhost_user_tests::memory::{BASE, Region};
use vhost_user_tests::prelude::*;

use crate::stranger;

const MIB: u64 = 1 << 20;

/// Memory in which the rings of a queue and its buffers can be kept apart: rings are in the first
/// region, the second one is for buffers.
fn two_regions() -> GuestMemory {
    GuestMemory::of_regions(&[RegionAt::new(BASE, MIB), RegionAt::new(1 << 32, MIB)])
}

/// Reads a sector to the second region.
#[track_caller]
fn read_to_second_region(disk: &mut BlkQueue, memory: &GuestMemory, sector: u64) -> Completion {
    let writable = memory.buffer_at(1 << 32, SECTOR + 1);
    disk.add_in(&Request::read(sector, 1), memory.buffer(16), writable);
    disk.queue.publish();
    disk.queue.kick();
    disk.wait().1
}

#[test]
fn table_that_is_not_sorted_is_served() {
    let regions = [
        RegionAt::new(1 << 40, MIB),
        RegionAt::new(BASE, MIB),
        RegionAt::new(1 << 33, MIB),
        RegionAt::new(BASE + MIB, MIB),
    ];
    let memory = GuestMemory::of_regions(&regions);
    let (image, _daemon, frontend) = stranger();
    let mut frontend = frontend.negotiate(USUAL).share(&memory);
    let mut disk = frontend.blk(0, 16);
    for at in regions {
        let writable = memory.buffer_at(at.guest + MIB / 2, SECTOR + 1);
        disk.add_in(&Request::read(7, 1), memory.buffer(16), writable);
        disk.queue.publish();
        disk.queue.kick();
        assert_eq!(disk.wait().1.bytes, image.sector(7), "a buffer at {:#x}", at.guest);
    }
}

#[test]
fn table_longer_than_its_regions_is_taken() {
    // User-mode Linux always sends room for two regions, 72 bytes, with one region in it.
    let (image, _daemon, frontend) = stranger();
    let mut frontend = frontend.negotiate(USUAL);
    let memory = GuestMemory::new(MIB);
    let region = &memory.regions()[0];
    let table = Message::mem_table(&memory.table()).bytes(&[0; 32]).descriptor(region);
    assert_eq!(table.wire().len(), 12 + 72);
    frontend.tell(table).unwrap();
    let queue = Queue::new(&memory, 16, true);
    frontend.start(0, &queue);
    assert_eq!(BlkQueue::new(queue).read(1, 1), Ok(image.sector(1)));
    frontend.set_mem_table(&memory).unwrap();
}

#[test]
fn table_of_nothing_takes_all_memory_away() {
    let it = Served::blk();
    assert_eq!(it.daemon.guest_mappings(), 1);
    it.frontend.tell(Message::mem_table(&[])).unwrap();
    assert_eq!(it.daemon.guest_mappings(), 0);
    assert!(it.frontend.is_served());
}

#[test]
fn regions_added_one_by_one_are_served() {
    let (image, _daemon, frontend) = stranger();
    let frontend = frontend.negotiate(USUAL);
    let memory = two_regions();
    for region in memory.regions() {
        frontend.add_mem_reg(region).unwrap();
    }
    let queue = Queue::new(&memory, 16, true);
    frontend.start(0, &queue);
    let mut disk = BlkQueue::new(queue);
    assert_eq!(read_to_second_region(&mut disk, &memory, 8).bytes, image.sector(8));
}

#[test]
fn region_removed_is_no_longer_guest_memory_and_added_again_it_is() {
    let (image, daemon, frontend) = stranger();
    let memory = two_regions();
    let mut frontend = frontend.negotiate(USUAL).share(&memory);
    let mut disk = frontend.blk(0, 16);
    let second = &memory.regions()[1];

    frontend.rem_mem_reg(&second.described()).unwrap();
    let done = read_to_second_region(&mut disk, &memory, 8);
    assert_eq!((done.status, done.written), (Err(Status::Untouched), 0));
    assert_eq!(disk.read(9, 1), Ok(image.sector(9)));
    assert_eq!(daemon.guest_mappings(), 1);

    frontend.add_mem_reg(second).unwrap();
    let done = read_to_second_region(&mut disk, &memory, 8);
    assert_eq!((done.status, done.bytes), (Ok(()), image.sector(8)));
    assert_eq!(daemon.guest_mappings(), 2);
}

#[test]
fn regions_in_all_slots_are_served_and_one_more_is_refused() {
    let regions: Vec<RegionAt> =
        (0..510).map(|slot| RegionAt::new(BASE + slot * MIB, 0x4000)).collect();
    let memory = GuestMemory::of_regions(&regions);
    let (image, daemon, frontend) = stranger();
    let frontend = frontend.negotiate(USUAL);
    assert_eq!(frontend.get_max_mem_slots(), 509);
    let (last, slots) = memory.regions().split_last().unwrap();
    for region in slots {
        frontend.add_mem_reg(region).unwrap();
    }
    assert_eq!(frontend.add_mem_reg(last), Err(Refused));
    assert!(daemon.log().has("more than 509 memory regions"));
    assert_eq!(daemon.guest_mappings(), 509);

    let queue = Queue::new(&memory, 16, true);
    frontend.start(0, &queue);
    let mut disk = BlkQueue::new(queue);
    for slot in [0, 1, 255, 508] {
        let writable = memory.buffer_at(regions[slot].guest + 0x3000, SECTOR + 1);
        disk.add_in(&Request::read(8, 1), memory.buffer(16), writable);
        disk.queue.publish();
        disk.queue.kick();
        assert_eq!(disk.wait().1.bytes, image.sector(8), "in the slot {slot}");
    }
    // A slot that is free again is free.
    frontend.rem_mem_reg(&slots[300].described()).unwrap();
    frontend.add_mem_reg(last).unwrap();
    assert_eq!(daemon.guest_mappings(), 509);
}

#[test]
fn region_to_be_removed_may_come_with_its_descriptor() {
    // Some front ends attach one to REM_MEM_REG as well.
    let (_image, daemon, frontend) = stranger();
    let frontend = frontend.negotiate(USUAL);
    let memory = GuestMemory::new(MIB);
    let region: &Region = &memory.regions()[0];
    let before = daemon.descriptors();
    frontend.add_mem_reg(region).unwrap();
    let message = Message::mem_region(FrontendReq::REM_MEM_REG, &region.described());
    frontend.tell(message.descriptor(region)).unwrap();
    assert_eq!(daemon.descriptors(), before);
    assert_eq!(daemon.guest_mappings(), 0);
}

#[test]
fn queue_pauses_while_its_rings_are_in_no_region_and_goes_on_with_the_next_one() {
    // QEMU sends REM_MEM_REG before the ADD_MEM_REG of the region that takes its place.
    let mut it = Served::blk();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    let memory = it.frontend.memory();
    let region = &memory.regions()[0];

    it.frontend.rem_mem_reg(&region.described()).unwrap();
    it.disk.submit(&Request::read(2, 1));
    it.disk.queue.kick();
    it.frontend.let_queues_look();
    assert_eq!(it.disk.queue.used(), None, "a request taken from a ring out of memory");

    it.frontend.add_mem_reg(region).unwrap();
    assert_eq!(it.disk.wait().1.bytes, it.image.sector(2));
    assert_eq!(it.disk.read(3, 1), Ok(it.image.sector(3)));
}

#[test]
fn paused_queue_can_be_stopped() {
    let mut it = Served::blk();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    let memory = it.frontend.memory();
    it.frontend.rem_mem_reg(&memory.regions()[0].described()).unwrap();
    assert_eq!(it.frontend.get_vring_base(0), 1);
    it.frontend.add_mem_reg(&memory.regions()[0]).unwrap();
    it.frontend.start(0, &it.disk.queue);
    assert_eq!(it.disk.read(2, 1), Ok(it.image.sector(2)));
}

#[test]
fn table_replaced_under_a_running_queue_does_not_disturb_it() {
    let mut it = Served::blk();
    let memory = it.frontend.memory();
    for sector in 0..20 {
        it.frontend.set_mem_table(&memory).unwrap();
        assert_eq!(it.disk.read(sector, 1), Ok(it.image.sector(sector)));
    }
    assert_eq!(it.daemon.guest_mappings(), 1);
}

#[test]
fn table_replaced_again_and_again_leaves_nothing_behind() {
    let mut it = Served::blk();
    let memory = it.frontend.memory();
    it.frontend.set_mem_table(&memory).unwrap();
    let descriptors = it.daemon.descriptors();
    for _ in 0..100 {
        it.frontend.set_mem_table(&memory).unwrap();
    }
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    assert_eq!((it.daemon.descriptors(), it.daemon.guest_mappings()), (descriptors, 1));
}

#[test]
fn memory_changes_while_requests_are_in_flight_lose_none_of_them() {
    let (image, _daemon, frontend) = stranger();
    let memory = two_regions();
    let mut frontend = frontend.negotiate(USUAL).share(&memory);
    let mut disk = frontend.blk(0, 128);
    let second = &memory.regions()[1];
    for _ in 0..30 {
        let reads: Vec<Request> = (0..40).map(|sector| Request::read(sector, 1)).collect();
        let heads = disk.submit_all(&reads);
        frontend.rem_mem_reg(&second.described()).unwrap();
        frontend.add_mem_reg(second).unwrap();
        for _ in &heads {
            let (head, done) = disk.wait();
            let sector = heads.iter().position(|other| *other == head).unwrap();
            let expected = image.sector(sector.try_into().unwrap());
            assert_eq!((done.status, done.bytes), (Ok(()), expected));
        }
    }
}

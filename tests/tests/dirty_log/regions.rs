// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Memory that changes while it is logged.

use vhost_user_tests::memory::BASE;
use vhost_user_tests::prelude::*;

use crate::{FAR, Guest, MIB, pages};

#[test]
fn region_added_after_the_log_is_logged() {
    let regions = [RegionAt::new(BASE, MIB), RegionAt::new(FAR, MIB)];
    let memory = GuestMemory::of_regions(&regions);
    let image = Image::of_sectors(64);
    let daemon = Daemon::blk().image(&image).start();
    let frontend = Frontend::connect(&daemon).negotiate(USUAL);
    frontend.add_mem_reg(&memory.regions()[0]).unwrap();
    let queue = Queue::new(&memory, 16, true);
    frontend.start(0, &queue);
    let mut it = Guest { disk: BlkQueue::new(queue), frontend, memory, daemon, image };

    let log = it.logging();
    it.frontend.add_mem_reg(&it.memory.regions()[1]).unwrap();
    it.read_to(FAR + 0x2000, 3);
    assert_eq!(log.pages(), pages(FAR + 0x2000, 1));
}

#[test]
fn region_removed_and_added_again_is_still_logged() {
    let mut it = Guest::new();
    let log = it.logging();
    let memory = it.memory.clone();
    it.frontend.rem_mem_reg(&memory.regions()[1].described()).unwrap();
    it.frontend.add_mem_reg(&memory.regions()[1]).unwrap();
    it.read_to(FAR + 0x2000, 3);
    assert_eq!(log.pages(), pages(FAR + 0x2000, 1));
}

#[test]
fn table_replaced_is_still_logged() {
    let mut it = Guest::new();
    let log = it.logging();
    let memory = it.memory.clone();
    it.frontend.set_mem_table(&memory).unwrap();
    it.read_to(FAR + 0x2000, 3);
    assert_eq!(log.pages(), pages(FAR + 0x2000, 1));
}

#[test]
fn queue_that_pauses_while_its_rings_are_in_no_region_logs_when_it_goes_on() {
    let mut it = Guest::new();
    let log = it.logging();
    let memory = it.memory.clone();
    it.frontend.rem_mem_reg(&memory.regions()[0].described()).unwrap();
    let writable = memory.buffer_at(FAR + 0x2000, SECTOR + 1);
    it.disk.add_in(&Request::read(2, 1), memory.buffer(16), writable);
    it.disk.queue.publish();
    it.disk.queue.kick();
    assert!(it.frontend.is_served());
    it.frontend.add_mem_reg(&memory.regions()[0]).unwrap();
    assert_eq!(it.disk.wait().1.bytes, it.image.sector(2));
    assert!(log.has(FAR + 0x2000));
}

#[test]
fn queue_started_after_the_log_is_logged() {
    let mut it = Guest::new();
    let log = it.logging();
    let memory = it.memory.clone();
    let mut other = it.frontend.blk(1, 16);
    let writable = memory.buffer_at(FAR + 0x9000, SECTOR + 1);
    other.add_in(&Request::read(2, 1), memory.buffer(16), writable);
    other.queue.publish();
    other.queue.kick();
    assert_eq!(other.wait().1.status, Ok(()));
    assert_eq!(log.pages(), pages(FAR + 0x9000, 1));
}

#[test]
fn pages_of_a_region_that_begins_within_its_file_are_those_of_its_guest_addresses() {
    let regions =
        [RegionAt::new(BASE, MIB), RegionAt { offset: 0x7000, ..RegionAt::new(FAR, MIB) }];
    let mut it = Guest::with(&regions);
    let log = it.logging();
    it.read_to(FAR + 0x2000, 3);
    assert_eq!(log.pages(), pages(FAR + 0x2000, 1));
}

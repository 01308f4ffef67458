// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Guest memory in huge pages, whose mappings begin and end where such a page does, whatever the
//! front end says about the region.

use vhost_user_tests::memory::BASE;
use vhost_user_tests::prelude::*;
use vhost_user_tests::requires;

use crate::stranger;

const MIB: u64 = 1 << 20;

/// A disk whose guest has all of its memory in a region like `at`; and reads to its ends.
#[track_caller]
fn expect_served(at: RegionAt) {
    let memory = GuestMemory::of_huge_regions(&[at]);
    let (image, daemon, frontend) = stranger();
    let mut frontend = frontend.negotiate(USUAL).share(&memory);
    let mut disk = frontend.blk(0, 16);
    for (sector, start) in [(1, at.guest + at.len - 513), (2, at.guest + at.len / 2)] {
        let writable = memory.buffer_at(start, SECTOR + 1);
        disk.add_in(&Request::read(sector, 1), memory.buffer(16), writable);
        disk.queue.publish();
        disk.queue.kick();
        let done = disk.wait().1;
        assert_eq!((done.status, done.bytes), (Ok(()), image.sector(sector)));
    }
    assert_eq!(daemon.guest_mappings(), 1);
    // What was mapped beyond the region is unmapped with it.
    frontend.rem_mem_reg(&memory.regions()[0].described()).expect("an ack of REM_MEM_REG");
    assert_eq!(daemon.guest_mappings(), 0);
}

#[test]
fn region_of_whole_huge_pages_is_served() {
    let Some(_pages) = requires::huge_pages(2) else { return };
    expect_served(RegionAt::new(BASE, 4 * MIB));
}

#[test]
fn region_that_begins_within_a_huge_page_is_served() {
    let Some(_pages) = requires::huge_pages(2) else { return };
    expect_served(RegionAt { offset: 0x5000, ..RegionAt::new(BASE, 4 * MIB - 0x5000) });
}

#[test]
fn region_that_ends_within_a_huge_page_is_served() {
    let Some(_pages) = requires::huge_pages(1) else { return };
    expect_served(RegionAt::new(BASE, MIB + 0x3000));
}

#[test]
fn region_that_begins_and_ends_within_other_huge_pages_is_served() {
    let Some(_pages) = requires::huge_pages(3) else { return };
    expect_served(RegionAt { offset: MIB + 0x1000, ..RegionAt::new(BASE, 3 * MIB + 0x7000) });
}

#[test]
fn regions_in_one_file_that_share_a_huge_page_are_served() {
    // Below 4 GiB and above it, as QEMU splits a guest's memory.
    let Some(_pages) = requires::huge_pages(2) else { return };
    let memory = GuestMemory::of_huge_regions(&[RegionAt::new(BASE, 4 * MIB)]);
    let whole = memory.regions()[0].described();
    let (image, _daemon, frontend) = stranger();
    let frontend = frontend.negotiate(USUAL);
    let border = MIB + 0x3000;
    let halves = [
        VhostUserMemoryRegion { memory_size: border, ..whole },
        VhostUserMemoryRegion {
            guest_phys_addr: whole.guest_phys_addr + border,
            memory_size: whole.memory_size - border,
            user_addr: whole.user_addr + border,
            mmap_offset: border,
        },
    ];
    let table = Message::mem_table(&halves);
    let region = &memory.regions()[0];
    frontend.tell(table.descriptor(region).descriptor(region)).unwrap();
    let queue = Queue::new(&memory, 16, true);
    frontend.start(0, &queue);
    let mut disk = BlkQueue::new(queue);
    let writable = memory.buffer_at(BASE + border - 100, SECTOR + 1);
    disk.add_in(&Request::read(9, 1), memory.buffer(16), writable);
    disk.queue.publish();
    disk.queue.kick();
    assert_eq!(disk.wait().1.bytes, image.sector(9));
}

#[test]
fn region_truncated_afterwards_costs_the_connection_alone() {
    let Some(_pages) = requires::huge_pages(4) else { return };
    let memory = GuestMemory::of_huge_regions(&[RegionAt::new(BASE, 4 * MIB)]);
    let (image, daemon, frontend) = stranger();
    let mut frontend = frontend.negotiate(USUAL).share(&memory);
    let mut disk = frontend.blk(0, 16);
    assert_eq!(disk.read(1, 1), Ok(image.sector(1)));
    memory.regions()[0].file().set_len(0).unwrap();
    disk.queue.kick();
    frontend.expect_dropped();
    assert!(daemon.log().has("has pages that cannot be had"));
    drop((frontend, disk));

    let memory = GuestMemory::of_huge_regions(&[RegionAt::new(BASE, 4 * MIB)]);
    let mut frontend = Frontend::connect(&daemon).negotiate(USUAL).share(&memory);
    assert_eq!(frontend.blk(0, 16).read(2, 1), Ok(image.sector(2)));
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Memory tables that lie.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use vhost_user_tests::memory::BASE;
use vhost_user_tests::prelude::*;

use crate::Target;

const MIB: u64 = 1 << 20;
const USER: u64 = 0x7000_0000_0000;

/// What a region is described as, which need not be what its file is.
type Described = VhostUserMemoryRegion;

/// Two MiB of a memory file, and descriptions of all kinds for it.
fn file() -> File {
    let memory = GuestMemory::new(2 * MIB);
    memory.regions()[0].file().try_clone().expect("one descriptor more")
}

/// SET_MEM_TABLE and ADD_MEM_REG of such regions are refused, alone and behind a good one.
#[track_caller]
fn expect_refused(regions: &[Described], file: &impl AsFd) {
    let it = Target::new();
    let table = regions.iter().fold(Message::mem_table(regions), |table, _| table.descriptor(file));
    it.expect_refused(&table);

    let frontend = it.session();
    let mut added = regions.iter().map(|region| {
        let message = Message::mem_region(FrontendReq::ADD_MEM_REG, region).descriptor(file);
        frontend.outcome(&message.need_reply())
    });
    assert!(added.any(|outcome| outcome == Outcome::Refused));
    it.expect_served_on(frontend);
}

#[test]
fn regions_that_overlap_in_guest_addresses_are_refused() {
    for other in [BASE, BASE + MIB - 4096, BASE - MIB + 4096] {
        let regions =
            [Described::new(BASE, MIB, USER, 0), Described::new(other, MIB, USER + 16 * MIB, MIB)];
        expect_refused(&regions, &file());
    }
}

#[test]
fn regions_that_overlap_in_user_addresses_are_refused() {
    let regions = [
        Described::new(BASE, MIB, USER, 0),
        Described::new(BASE + 16 * MIB, MIB, USER + MIB - 4096, MIB),
    ];
    expect_refused(&regions, &file());
}

#[test]
fn region_within_another_is_refused() {
    let regions = [
        Described::new(BASE, MIB, USER, 0),
        Described::new(BASE + 4096, 4096, USER + 16 * MIB, MIB),
    ];
    expect_refused(&regions, &file());
}

#[test]
fn region_of_no_bytes_is_refused() {
    expect_refused(&[Described::new(BASE, 0, USER, 0)], &file());
}

#[test]
fn region_whose_end_wraps_is_refused() {
    expect_refused(&[Described::new(u64::MAX - 4095, 8192, USER, 0)], &file());
    expect_refused(&[Described::new(BASE, 8192, u64::MAX - 4095, 0)], &file());
    expect_refused(&[Described::new(BASE, 8192, USER, u64::MAX - 4095)], &file());
    expect_refused(&[Described::new(BASE, u64::MAX, USER, 0)], &file());
    expect_refused(&[Described::new(0, u64::MAX, 0, 0)], &file());
}

#[test]
fn region_longer_than_its_file_is_refused() {
    expect_refused(&[Described::new(BASE, 2 * MIB + 4096, USER, 0)], &file());
    expect_refused(&[Described::new(BASE, 2 * MIB, USER, 4096)], &file());
    expect_refused(&[Described::new(BASE, 4096, USER, 1 << 40)], &file());
    expect_refused(&[Described::new(BASE, 1 << 62, USER, 0)], &file());
}

#[test]
fn region_of_what_cannot_be_mapped_is_refused() {
    let region = [Described::new(BASE, 4096, USER, 0)];
    expect_refused(&region, &File::open("/").unwrap());
    expect_refused(&region, &UnixStream::pair().unwrap().0);
    expect_refused(&region, &File::open("/dev/null").unwrap());
}

#[test]
fn region_of_a_file_that_is_only_read_is_refused() {
    let image = Image::of_sectors(64);
    let region = [Described::new(BASE, 4096, USER, 0)];
    expect_refused(&region, &OpenOptions::new().read(true).open(image.path()).unwrap());
}

#[test]
fn table_with_more_or_fewer_descriptors_than_regions_is_refused() {
    let it = Target::new();
    let file = file();
    let regions = [
        Described::new(BASE, MIB, USER, 0),
        Described::new(BASE + 16 * MIB, MIB, USER + 16 * MIB, MIB),
    ];
    for count in [0, 1, 3, 8] {
        let table = Message::mem_table(&regions);
        it.expect_refused(&(0..count).fold(table, |table, _| table.descriptor(&file)));
    }
}

#[test]
fn table_that_counts_more_regions_than_it_has_is_refused() {
    let it = Target::new();
    let file = file();
    let region = Described::new(BASE, MIB, USER, 0);
    for count in [2, 3, 8, 9, 128, 0x0800_0001, u32::MAX] {
        let table = Message::new(FrontendReq::SET_MEM_TABLE).u32(count).u32(0).region(&region);
        it.expect_refused(&table.descriptor(&file));
    }
}

#[test]
fn table_that_ends_within_a_region_is_refused() {
    let it = Target::new();
    let file = file();
    for len in [0, 1, 31] {
        let table = Message::new(FrontendReq::SET_MEM_TABLE).u32(1).u32(0).bytes(&vec![0; len]);
        it.expect_refused(&table.descriptor(&file));
    }
    it.expect_refused(&Message::new(FrontendReq::SET_MEM_TABLE).u32(0));
    it.expect_refused(&Message::new(FrontendReq::SET_MEM_TABLE));
}

#[test]
fn region_to_be_added_without_its_file_or_with_two_is_refused() {
    let it = Target::new();
    let file = file();
    let region = Described::new(BASE, MIB, USER, 0);
    let message = Message::mem_region(FrontendReq::ADD_MEM_REG, &region);
    it.expect_refused(&message);
    it.expect_refused(&message.descriptor(&file).descriptor(&file));
}

#[test]
fn region_to_be_removed_that_is_not_there_is_refused() {
    let it = Target::new();
    let region = Described::new(BASE, MIB, USER, 0);
    it.expect_refused(&Message::mem_region(FrontendReq::REM_MEM_REG, &region));

    let frontend = it.session();
    let memory = GuestMemory::new(MIB);
    let there = memory.regions()[0].described();
    frontend.add_mem_reg(&memory.regions()[0]).unwrap();
    for wrong in [
        Described { memory_size: there.memory_size - 4096, ..there },
        Described { guest_phys_addr: there.guest_phys_addr + 4096, ..there },
        Described { user_addr: there.user_addr + 4096, ..there },
    ] {
        assert_eq!(frontend.rem_mem_reg(&wrong), Err(Refused));
    }
    assert_eq!(frontend.rem_mem_reg(&there), Ok(()));
    assert_eq!(frontend.rem_mem_reg(&there), Err(Refused));
    drop(frontend);
    it.expect_alive();
}

#[test]
fn refused_table_leaves_the_one_before_it_in_force() {
    let it = Target::new();
    let mut frontend = it.session();
    let mut disk = frontend.blk(0, 16);
    let wrong = Described::new(BASE, 1 << 40, USER, 0);
    let file = file();
    let table = Message::mem_table(&[wrong]).descriptor(&file);
    assert_eq!(frontend.outcome(&table.need_reply()), Outcome::Refused);
    assert_eq!(disk.read(2, 1), Ok(it.image.sector(2)));
    drop((frontend, disk));
    it.expect_alive();
}

#[test]
fn more_regions_than_there_are_slots_are_refused() {
    let it = Target::new();
    let frontend = it.session();
    let slots = frontend.get_max_mem_slots();
    let file = file();
    let add = |i| {
        let region = Described::new(BASE + i * MIB, 4096, USER + i * MIB, 0);
        frontend.tell(Message::mem_region(FrontendReq::ADD_MEM_REG, &region).descriptor(&file))
    };
    for i in 0..slots {
        assert_eq!(add(i), Ok(()), "region {i} of {slots}");
    }
    assert_eq!(add(slots), Err(Refused));
    drop(frontend);
    it.expect_alive();
}

#[test]
fn regions_of_more_bytes_than_may_be_mapped_are_refused() {
    const TIB: u64 = 1 << 40;
    let it = Target::new();
    let frontend = it.session();
    let file = file();
    file.set_len(64 * TIB).unwrap();
    let add = |region: &Described| {
        frontend.tell(Message::mem_region(FrontendReq::ADD_MEM_REG, region).descriptor(&file))
    };
    let eights = [0, 1, 2, 3].map(|i| Described::new(i * 8 * TIB, 8 * TIB, i * 8 * TIB, 0));
    for region in &eights {
        assert_eq!(add(region), Ok(()));
    }
    let one_more = Described::new(32 * TIB, 4096, 32 * TIB, 0);
    assert_eq!(add(&one_more), Err(Refused));
    let bound = "and those before it are more than 0x200000000000 bytes";
    assert!(it.daemon.log().has(bound), "{bound}");
    assert_eq!(frontend.rem_mem_reg(&eights[1]), Ok(()));
    assert_eq!(add(&one_more), Ok(()));
    assert_eq!(add(&eights[1]), Err(Refused));
    it.expect_served_on(frontend);

    let frontend = it.session();
    let region = Described::new(0, 32 * TIB + 4096, 0, 0);
    let table = Message::mem_table(&[region]).descriptor(&file).need_reply();
    assert_eq!(frontend.outcome(&table), Outcome::Refused);
    it.expect_served_on(frontend);
}

#[test]
fn file_that_shrinks_under_the_rings_ends_the_connection_alone() {
    let it = Target::new();
    let mut frontend = it.session();
    let memory = frontend.memory();
    let disk = frontend.blk(0, 16);
    memory.regions()[0].file().set_len(0).unwrap();
    disk.queue.kick();
    frontend.expect_dropped();
    drop((frontend, disk));
    it.expect_alive();
    assert_eq!(it.daemon.log().count("has pages that cannot be had"), 1);
}

#[test]
fn file_that_shrinks_under_a_buffer_fails_the_request() {
    let it = Target::new();
    let regions = [RegionAt::new(BASE, MIB), RegionAt::new(1 << 32, MIB)];
    let memory = GuestMemory::of_regions(&regions);
    let mut frontend = it.session().share(&memory);
    let mut disk = frontend.blk(0, 16);
    let (header, status) = (memory.buffer(16), memory.buffer(1));
    header.write(&[0; 16]);
    let segments = [
        Segment::readable(header.address(), 16),
        Segment::writable(1 << 32, SECTOR),
        Segment::writable(status.address(), 1),
    ];
    memory.regions()[1].file().set_len(0).unwrap();
    disk.queue.submit(&segments);
    assert_eq!(disk.queue.wait().len, 1);
    assert_eq!(status.bytes(), [1], "VIRTIO_BLK_S_IOERR");
    assert_eq!(disk.read(2, 1), Ok(it.image.sector(2)));
    drop((frontend, disk));
    it.expect_alive();
}

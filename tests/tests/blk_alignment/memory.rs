// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Guest memory at any address, in pieces of any length.

use vhost_user_tests::prelude::*;

use crate::{Direct, all_written};

on_each_engine!(
    memory_at_every_kind_of_address_is_read_to_and_written_from,
    pieces_of_odd_lengths_are_read_to_and_written_from,
    many_misaligned_requests_at_once_do_not_mix_up,
    large_sectors_are_read_and_written_from_any_memory,
    piece_across_two_regions_is_read_to_and_written_from,
);

/// Where data may begin within a page: each power of two, its neighbours, and nothing in particular.
const OFFSETS: [u64; 22] = [
    0, 1, 2, 3, 4, 7, 8, 12, 16, 31, 64, 100, 256, 511, 512, 513, 1024, 1536, 2048, 3000, 3584,
    4095,
];

/// Some memory that begins with a page.
const PLACE: u64 = 0x40_0000;
/// Some more of it.
const OTHER_PLACE: u64 = 0x60_0000;

/// Writes from memory at `offset` in a page and reads to such memory, so cut.
#[track_caller]
fn write_and_read(disk: &mut BlkQueue, offset: u64, round: u64, sector: u64, cuts: &[usize]) {
    let len: usize = cuts.iter().sum();
    let count = u64::try_from(len / SECTOR).expect("a number of sectors");
    let data = all_written(round, sector, count);
    let memory = disk.queue.memory().clone();
    let write = Request::write(sector, &data).cut_readable(&[&[16], cuts].concat()).indirect();
    let read = Request::read(sector, len / SECTOR).cut_writable(&[cuts, &[1]].concat()).indirect();
    for request in [write, read] {
        // The header is before the data, and the status behind it.
        let readable = memory.buffer_at(PLACE + 4096 + offset - 16, 16 + len);
        let writable = memory.buffer_at(OTHER_PLACE + offset, len + 1);
        let (readable, writable) = match request.is_write() {
            true => (readable, memory.buffer(1)),
            false => (memory.buffer(16), writable),
        };
        disk.add_in(&request, readable, writable);
        disk.queue.publish();
        disk.queue.kick_if_wanted();
        let (_, done) = disk.wait();
        assert_eq!(done.status, Ok(()), "{cuts:?} at {offset}");
        if !request.is_write() {
            assert!(done.bytes == data, "{cuts:?} at {offset}: what was read differs");
        }
    }
}

/// The image has what the last round wrote, and else what it had.
#[track_caller]
fn expect_written(it: &Direct, round: u64, sector: u64, count: u64) {
    let length = usize::try_from(count).expect("a number of sectors");
    assert_eq!(it.image.sectors(sector, length), all_written(round, sector, count));
    assert_eq!(it.image.sector(sector - 1), Image::contents(sector - 1));
    assert_eq!(it.image.sector(sector + count), Image::contents(sector + count));
}

fn memory_at_every_kind_of_address_is_read_to_and_written_from(engine: &str) {
    let Some(it) = Direct::file() else { return };
    let mut driven = Driven::start(it.launch(engine), USUAL);
    for (round, offset) in (1..).zip(OFFSETS) {
        write_and_read(&mut driven.disk, offset, round, 9, &[8 * SECTOR]);
    }
    assert_eq!(driven.disk.flush(), Ok(()));
    expect_written(&it, OFFSETS.len() as u64, 9, 8);
}

fn pieces_of_odd_lengths_are_read_to_and_written_from(engine: &str) {
    let Some(it) = Direct::file() else { return };
    let mut driven = Driven::start(it.launch(engine), USUAL);
    let cuts: [&[usize]; 7] = [
        &[1, 511],
        &[511, 1],
        &[512, 512, 512],
        &[4096, 3, 1021, 512, 2560],
        &[7, 7, 7, 7, 484],
        &[256; 32],
        &[4095, 4097],
    ];
    for (round, cuts) in (1..).zip(cuts) {
        for offset in [0, 512, 1, 3] {
            write_and_read(&mut driven.disk, offset, round, 32, cuts);
        }
    }
    assert_eq!(driven.disk.flush(), Ok(()));
    expect_written(&it, 7, 32, 16);
}

fn many_misaligned_requests_at_once_do_not_mix_up(engine: &str) {
    let Some(it) = Direct::file() else { return };
    let mut driven = Driven::start(it.launch(engine), USUAL);
    let mut disk = driven.frontend.blk(1, 128);
    for round in 1..4 {
        // Buffers of 16 bytes more than a sector, so that hardly two begin at the same offset.
        let writes: Vec<Request> = (0..64)
            .map(|sector| Request::write(sector, &all_written(round, sector, 1)).indirect())
            .collect();
        disk.submit_all(&writes);
        while disk.in_flight() > 0 {
            assert_eq!(disk.wait().1.status, Ok(()));
        }
        let reads: Vec<Request> =
            (0..64).map(|sector| Request::read(sector, 1).indirect()).collect();
        let heads = disk.submit_all(&reads);
        while disk.in_flight() > 0 {
            let (head, done) = disk.wait();
            let sector = (0..).zip(&heads).find(|(_, other)| **other == head);
            let (sector, _) = sector.expect("a request that was made");
            assert_eq!((done.status, done.bytes), (Ok(()), all_written(round, sector, 1)));
        }
    }
    assert_eq!(it.image.sectors(0, 64), all_written(3, 0, 64));
}

fn large_sectors_are_read_and_written_from_any_memory(engine: &str) {
    let Some(it) = Direct::large_sectors() else { return };
    let mut driven = Driven::start(it.launch(engine), USUAL | BLK_SIZE);
    assert_eq!(driven.frontend.blk_config().blk_size, 4096);
    for (round, offset) in (1..).zip([0, 1, 16, 512, 513, 2048, 4095]) {
        for cuts in [&[4096][..], &[512; 8], &[1, 4095], &[4096, 4096], &[4000, 192, 3999, 1]] {
            write_and_read(&mut driven.disk, offset, round, 16, cuts);
        }
    }
    assert_eq!(driven.disk.flush(), Ok(()));
    expect_written(&it, 7, 16, 16);
}

fn piece_across_two_regions_is_read_to_and_written_from(engine: &str) {
    let Some(it) = Direct::file() else { return };
    let daemon = it.launch(engine).start();
    let border = 0x50_0000;
    let memory = GuestMemory::of_regions(&[
        RegionAt::new(0x10_0000, 0x40_0000),
        RegionAt::new(border, 0x10_0000),
    ]);
    let mut frontend = Frontend::connect(&daemon).negotiate(USUAL).share(&memory);
    let mut disk = frontend.blk(0, 16);
    for (round, before) in (1..).zip([512, 513, 1, 16, 4096, 4095]) {
        let data = all_written(round, 40, 16);
        let readable = memory.buffer_at(border - before - 16, 16 + data.len());
        disk.add_in(&Request::write(40, &data), readable, memory.buffer(1));
        disk.queue.publish();
        disk.queue.kick();
        assert_eq!(disk.wait().1.status, Ok(()));
        let writable = memory.buffer_at(border - before, data.len() + 1);
        disk.add_in(&Request::read(40, 16), memory.buffer(16), writable);
        disk.queue.publish();
        disk.queue.kick();
        assert!(disk.wait().1.bytes == data, "{before} bytes before the border");
        assert_eq!(it.image.sectors(40, 16), data);
    }
}

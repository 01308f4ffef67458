// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The front end and the driver of these tests, against a back end that is known to be right:
//! where one of these fails, the fault is in the tests' own library.

use vhost_user_tests::prelude::*;
use vhost_user_tests::{memory, reference, requires};

const FEATURES: u64 = VERSION_1 | FLUSH | INDIRECT_DESC;

/// The reference back end on an image of 64 sectors, with one queue of 16 descriptors.
struct Fixture {
    image: Image,
    _daemon: Daemon,
    frontend: Frontend,
    disk: BlkQueue,
}

impl Fixture {
    fn with(features: u64) -> Option<Self> {
        if !requires::program(reference::PROGRAM) {
            return None;
        }
        let image = Image::of_sectors(64);
        let (daemon, socket) = reference::serve(&image, 2);
        let mut frontend = Frontend::over(socket).negotiate(features);
        let disk = frontend.blk(0, 16);
        Some(Self { image, _daemon: daemon, frontend, disk })
    }
}

#[test]
fn request_of_each_kind_is_served() {
    let Some(mut it) = Fixture::with(FEATURES) else {
        return;
    };
    let ours = Image::contents(77);
    assert_eq!(it.disk.read(5, 2), Ok(it.image.sectors(5, 2)));
    assert_eq!(it.disk.write(5, &ours), Ok(()));
    assert_eq!(it.disk.flush(), Ok(()));
    assert_eq!(it.disk.read(5, 1), Ok(ours.clone()));
    assert_eq!(it.image.sector(5), ours);
    assert_eq!(it.disk.id(), Ok("vhost_user_blk".to_owned()));
    assert_eq!(it.disk.read(64, 1), Err(Status::IoErr));
    let unknown = it.disk.request(&Request::new(99, 0, &[], 16));
    assert_eq!(unknown.status, Err(Status::Unsupported));
}

#[test]
fn hundreds_of_requests_wrap_the_ring_with_event_idx() {
    let Some(mut it) = Fixture::with(FEATURES | EVENT_IDX) else {
        return;
    };
    for round in 0..100 {
        let sectors = (0..4).map(|i| (round + i) % 64);
        let reads: Vec<Request> = sectors.clone().map(|sector| Request::read(sector, 1)).collect();
        let heads = it.disk.submit_all(&reads);
        for _ in &heads {
            let (head, done) = it.disk.wait();
            let which = heads.iter().position(|other| *other == head).unwrap();
            let sector = sectors.clone().nth(which).unwrap();
            assert_eq!((done.status, done.bytes), (Ok(()), it.image.sector(sector)));
        }
    }
}

#[test]
fn indirect_request_cut_in_many_pieces_is_served() {
    let Some(mut it) = Fixture::with(FEATURES) else {
        return;
    };
    let pieces = Request::read(3, 1).cut_writable(&[100, 400, 12, 1]).indirect();
    let done = it.disk.request(&pieces.cut_readable(&[4, 12]));
    assert_eq!((done.status, done.bytes), (Ok(()), it.image.sector(3)));
}

#[test]
fn data_in_a_second_region_is_served() {
    if !requires::program(reference::PROGRAM) {
        return;
    }
    let image = Image::of_sectors(8);
    let (_daemon, socket) = reference::serve(&image, 1);
    let regions =
        [RegionAt::new(memory::BASE, 1 << 20), RegionAt::new(memory::BASE + (1 << 20), 1 << 20)];
    let memory = GuestMemory::of_regions(&regions);
    let mut frontend = Frontend::over(socket).negotiate(FEATURES).share(&memory);
    let mut disk = frontend.blk(0, 16);
    let readable = memory.buffer(16);
    let writable = memory.buffer_at(memory::BASE + (1 << 20), 513);
    disk.add_in(&Request::read(6, 1), readable, writable);
    disk.queue.publish();
    disk.queue.kick();
    let (_, done) = disk.wait();
    assert_eq!((done.status, done.bytes), (Ok(()), image.sector(6)));
}

#[test]
fn stopped_queue_tells_its_index_and_starts_again_there() {
    let Some(mut it) = Fixture::with(FEATURES) else {
        return;
    };
    for sector in 0..5 {
        assert_eq!(it.disk.read(sector, 1), Ok(it.image.sector(sector)));
    }
    assert_eq!(it.frontend.get_vring_base(0), 5);
    it.frontend.start(0, &it.disk.queue);
    assert_eq!(it.disk.read(9, 1), Ok(it.image.sector(9)));
}

#[test]
fn config_space_begins_with_the_capacity() {
    let Some(it) = Fixture::with(FEATURES) else {
        return;
    };
    assert_eq!(it.frontend.get_config(0, 8), Ok(64u64.to_le_bytes().to_vec()));
    assert!(it.frontend.get_max_mem_slots() >= 8);
}

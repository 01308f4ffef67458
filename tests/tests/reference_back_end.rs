// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The front end and the driver of these tests, against back ends that are known to be right:
//! where one of these fails, the fault is in the tests' own library.

use std::os::unix::net::UnixStream;

use vhost_user_tests::deadline::until;
use vhost_user_tests::in_flight::Geometry;
use vhost_user_tests::prelude::*;
use vhost_user_tests::reference::Reference;
use vhost_user_tests::{memory, reference, requires};

const FEATURES: u64 = VERSION_1 | FLUSH | INDIRECT_DESC;

/// Tests of what both reference back ends can do, once for each of them.
macro_rules! against_each {
    ($($test:ident),* $(,)?) => {
        mod qemu_storage_daemon {
            $(#[test]
            fn $test() {
                super::$test(super::Reference::QemuStorageDaemon);
            })*
        }

        mod vhost_user_backend {
            $(#[test]
            fn $test() {
                super::$test(super::Reference::VhostUserBackend);
            })*
        }
    };
}

against_each!(
    request_of_each_kind_is_served,
    hundreds_of_requests_wrap_the_ring_with_event_idx,
    indirect_request_cut_in_many_pieces_is_served,
    data_in_a_second_region_is_served,
    stopped_queue_tells_its_index_and_starts_again_there,
    config_space_begins_with_the_capacity,
);

/// A reference back end on an image of 64 sectors, with one queue of 16 descriptors.
struct Fixture {
    image: Image,
    _daemon: Daemon,
    frontend: Frontend,
    disk: BlkQueue,
}

impl Fixture {
    fn with(reference: Reference, features: u64) -> Option<Self> {
        let image = Image::of_sectors(64);
        let (daemon, socket) = reference.serve(&image, 2)?;
        let mut frontend = Frontend::over(socket).negotiate(features);
        let disk = frontend.blk(0, 16);
        Some(Self { image, _daemon: daemon, frontend, disk })
    }
}

fn request_of_each_kind_is_served(reference: Reference) {
    let Some(mut it) = Fixture::with(reference, FEATURES) else {
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

fn hundreds_of_requests_wrap_the_ring_with_event_idx(reference: Reference) {
    let Some(mut it) = Fixture::with(reference, FEATURES | EVENT_IDX) else {
        return;
    };
    for round in 0..100 {
        let sectors = (0..4).map(|i| (round + i) % 64);
        let reads: Vec<Request> = sectors.clone().map(|sector| Request::read(sector, 1)).collect();
        let heads = it.disk.submit_all(&reads);
        for _ in &heads {
            let (head, done) = it.disk.wait();
            let which = heads.iter().position(|other| *other == head).expect("one of these");
            let sector = sectors.clone().nth(which).expect("one of these");
            assert_eq!((done.status, done.bytes), (Ok(()), it.image.sector(sector)));
        }
    }
}

fn indirect_request_cut_in_many_pieces_is_served(reference: Reference) {
    let Some(mut it) = Fixture::with(reference, FEATURES) else {
        return;
    };
    let pieces = Request::read(3, 1).cut_writable(&[100, 400, 12, 1]).indirect();
    let done = it.disk.request(&pieces.cut_readable(&[4, 12]));
    assert_eq!((done.status, done.bytes), (Ok(()), it.image.sector(3)));
}

fn data_in_a_second_region_is_served(reference: Reference) {
    let image = Image::of_sectors(8);
    let Some((_daemon, socket)) = reference.serve(&image, 1) else {
        return;
    };
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

fn stopped_queue_tells_its_index_and_starts_again_there(reference: Reference) {
    let Some(mut it) = Fixture::with(reference, FEATURES) else {
        return;
    };
    for sector in 0..5 {
        assert_eq!(it.disk.read(sector, 1), Ok(it.image.sector(sector)));
    }
    assert_eq!(it.frontend.get_vring_base(0), 5);
    it.frontend.start(0, &it.disk.queue);
    assert_eq!(it.disk.read(9, 1), Ok(it.image.sector(9)));
}

fn config_space_begins_with_the_capacity(reference: Reference) {
    let Some(it) = Fixture::with(reference, FEATURES) else {
        return;
    };
    assert_eq!(it.frontend.get_config(0, 8), Ok(64u64.to_le_bytes().to_vec()));
    assert!(it.frontend.get_max_mem_slots() >= 8);
}

/// A front end of a back end that tracks what is in flight, but doesn't say so.
fn tracked(socket: UnixStream) -> Frontend {
    let mut frontend = Frontend::over(socket);
    frontend.set_owner().expect("an ack");
    let offered = frontend.get_protocol_features();
    frontend.set_protocol_features(offered | Protocol::INFLIGHT_SHMFD).expect("an ack");
    frontend.set_features(FEATURES | PROTOCOL_FEATURES).expect("an ack");
    frontend
}

#[test]
fn requests_in_flight_when_it_was_killed_are_served_by_the_next_one() {
    if !requires::program(reference::PROGRAM) {
        return;
    }
    let image = Image::of_sectors(64);
    let (daemon, socket) = reference::serve_one_request(&image, 2);
    let mut frontend = tracked(socket);
    let region = frontend.get_inflight_fd(2, 16).unwrap();
    assert_eq!(region.geometry(), Geometry::of(2, 16));
    frontend.set_inflight_fd(&region).unwrap();
    let memory = frontend.memory();
    let mut disk = frontend.blk(0, 16);
    let ours = Image::contents(77);
    let requests: Vec<Request> = (0..4).map(|sector| Request::write(sector, &ours)).collect();
    let heads = disk.submit_all(&requests);
    assert_eq!(disk.wait().0, heads[0]);
    until("all requests to be taken", || (region.marks() == 3).then_some(()));
    assert_eq!(region.queue(0).marked(), heads[1..]);
    daemon.sigkill();
    drop(frontend);

    let (_daemon, socket) = reference::serve(&image, 2);
    let frontend = tracked(socket).share(&memory);
    frontend.set_inflight_fd(&region).unwrap();
    frontend.start(0, &disk.queue);
    let mut done: Vec<u16> = heads[1..].iter().map(|_| disk.wait().0).collect();
    done.sort_unstable();
    assert_eq!(done, heads[1..]);
    assert_eq!(image.sectors(0, 4), ours.repeat(4));
    assert_eq!(frontend.get_vring_base(0), 4);
    region.queue(0).expect_settled(4);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Which regions the daemon makes, and which ones it takes.

use std::os::unix::fs::FileExt;

use vhost_user_tests::eventfd::EventFd;
use vhost_user_tests::in_flight::Geometry;
use vhost_user_tests::prelude::*;

const PAGE: u64 = 4096;

/// A daemon of 4 queues of at most 256 descriptors, and a front end that has started none.
struct Bench {
    image: Image,
    daemon: Daemon,
    frontend: Frontend,
}

impl Bench {
    fn new() -> Self {
        let image = Image::of_sectors(64);
        let arguments = ["--num-queues", "4", "--queue-size", "256"];
        let daemon = Daemon::blk().image(&image).args(arguments).start();
        let frontend = Frontend::connect(&daemon).negotiate(USUAL);
        Self { image, daemon, frontend }
    }

    /// SET_INFLIGHT_FD of `region` as `geometry` is refused with `reason`; the front end is served
    /// nonetheless, with a region and without.
    #[track_caller]
    fn expect_refused(&mut self, region: &InFlightRegion, geometry: Geometry, reason: &str) {
        assert_eq!(self.frontend.set_inflight_fd_as(region, geometry), Err(Refused), "{reason}");
        assert!(self.daemon.log().has(reason), "{reason:?} in {}", self.daemon.log().text());
        self.expect_served();
    }

    #[track_caller]
    fn expect_served(&mut self) {
        let mut disk = self.frontend.blk(0, 16);
        assert_eq!(disk.read(5, 1), Ok(self.image.sector(5)));
        self.frontend.get_vring_base(0);
    }
}

/// A region that is right for the daemon of a [`Bench`].
fn region() -> InFlightRegion {
    let region = InFlightRegion::new(2, 128);
    region.queue(0).initialise(0);
    region.queue(1).initialise(0);
    region
}

#[test]
fn region_that_is_asked_for_has_room_for_each_queue() {
    let it = Bench::new();
    for (queues, size) in [(1, 16), (2, 128), (4, 256), (3, 1)] {
        let region = it.frontend.get_inflight_fd(queues, size).unwrap();
        assert_eq!(region.geometry(), Geometry::of(queues, size));
        let len = region.file().metadata().unwrap().len();
        assert!(len >= region.geometry().mmap_size, "{len} bytes for {:?}", region.geometry());
        assert_eq!(region.marks(), 0);
        assert_eq!(it.frontend.set_inflight_fd(&region), Ok(()));
    }
}

#[test]
fn region_for_queues_that_the_device_has_not_is_not_made() {
    let mut it = Bench::new();
    for (queues, size) in [(0, 128), (5, 128), (u16::MAX, 128), (1, 0), (1, 257), (1, u16::MAX)] {
        assert!(it.frontend.get_inflight_fd(queues, size).is_none(), "{queues} of {size}");
    }
    it.expect_served();
}

#[test]
fn region_that_was_asked_for_twice_is_another_one() {
    let it = Bench::new();
    let regions = [(), ()].map(|()| it.frontend.get_inflight_fd(1, 16).unwrap());
    regions[0].file().write_all_at(&[1], 20).unwrap();
    assert!(regions[1].bytes().iter().skip(20).all(|byte| *byte == 0));
}

#[test]
fn regions_that_were_asked_for_or_given_are_not_kept() {
    let it = Bench::new();
    let before = it.daemon.descriptors();
    for _ in 0..20 {
        it.frontend.get_inflight_fd(2, 128).unwrap();
        it.frontend.set_inflight_fd(&region()).unwrap();
    }
    // The one that was given last may stay.
    assert!(it.daemon.descriptors() <= before + 1);
    assert!(it.daemon.mappings_of("test-in-flight") <= 1);
    drop(it.frontend);
    it.daemon.expect_descriptors(before - 1);
    assert_eq!(it.daemon.mappings_of("test-in-flight"), 0);
}

#[test]
fn region_that_begins_at_a_page_of_its_file_is_used_there() {
    let mut it = Bench::new();
    let geometry = Geometry { mmap_offset: 3 * PAGE, ..Geometry::of(1, 16) };
    let region = InFlightRegion::with(geometry);
    region.file().write_all_at(&[0xee; 3 * 4096], 0).unwrap();
    it.frontend.set_inflight_fd(&region).unwrap();
    it.expect_served();
    region.queue(0).expect_settled(1);
    let mut before = [0; 3 * 4096];
    region.file().read_exact_at(&mut before, 0).unwrap();
    assert!(before.iter().all(|byte| *byte == 0xee));
}

#[test]
fn region_that_begins_between_two_pages_is_used_there() {
    let mut it = Bench::new();
    let geometry = Geometry { mmap_offset: PAGE + 64, ..Geometry::of(1, 16) };
    let region = InFlightRegion::with(geometry);
    it.frontend.set_inflight_fd(&region).unwrap();
    it.expect_served();
    region.queue(0).expect_settled(1);
}

#[test]
fn region_that_begins_in_the_middle_of_a_number_is_refused() {
    for mmap_offset in [1, 4, PAGE + 12] {
        let region = InFlightRegion::with(Geometry { mmap_offset, ..Geometry::of(2, 128) });
        let reason = "its bytes for queue 0 are not aligned";
        Bench::new().expect_refused(&region, region.geometry(), reason);
    }
}

#[test]
fn region_of_another_version_is_refused() {
    for version in [2, u16::MAX] {
        let region = region();
        region.queue(1).set_version(version);
        Bench::new().expect_refused(
            &region,
            region.geometry(),
            &format!("queue 1 has features 0x0, version {version} and 128 descriptors in it"),
        );
    }
}

#[test]
fn region_with_another_number_of_entries_is_refused() {
    for number in [0, 127, 129, u16::MAX] {
        let region = region();
        region.queue(1).set_desc_num(number);
        Bench::new().expect_refused(
            &region,
            region.geometry(),
            &format!("queue 1 has features 0x0, version 1 and {number} descriptors in it"),
        );
    }
}

#[test]
fn region_that_is_too_small_is_refused() {
    let region = region();
    let whole = region.geometry();
    for mmap_size in [0, 1, whole.mmap_size / 2, whole.mmap_size - 1] {
        let geometry = Geometry { mmap_size, ..whole };
        Bench::new().expect_refused(&region, geometry, &format!("it has {mmap_size:#x} bytes"));
    }
}

#[test]
fn region_beyond_the_end_of_its_file_is_refused() {
    let region = region();
    let whole = region.geometry();
    let geometry = Geometry { mmap_offset: PAGE, ..whole };
    Bench::new().expect_refused(&region, geometry, "its file has 0x1080 bytes");
    region.file().set_len(whole.mmap_size - 1).unwrap();
    Bench::new().expect_refused(&region, whole, "its file has 0x107f bytes");
}

#[test]
fn region_whose_end_is_beyond_all_numbers_is_refused() {
    let region = region();
    let whole = region.geometry();
    for mmap_offset in [u64::MAX - 7, u64::MAX - 4095] {
        let geometry = Geometry { mmap_offset, ..whole };
        Bench::new().expect_refused(&region, geometry, "its end is beyond the address space");
    }
}

#[test]
fn region_with_features_that_nobody_knows_is_refused() {
    let region = region();
    region.queue(1).set_features(1 << 40);
    let reason = "queue 1 has features 0x10000000000, version 1 and 128 descriptors in it";
    Bench::new().expect_refused(&region, region.geometry(), reason);
}

#[test]
fn region_for_no_queue_or_no_descriptor_is_refused() {
    for (queues, size) in [(0, 128), (2, 0)] {
        let region =
            InFlightRegion::with(Geometry { mmap_size: PAGE, ..Geometry::of(queues, size) });
        let reason = format!("it is for {queues} queues of {size} descriptors");
        Bench::new().expect_refused(&region, region.geometry(), &reason);
    }
}

/// The back end before may have had more of both.
#[test]
fn region_for_more_than_the_device_has_is_used_as_far_as_it_has_that() {
    for (queues, size) in [(5, 128), (u16::MAX, 16), (1, 257), (1, u16::MAX)] {
        let mut it = Bench::new();
        let region = InFlightRegion::new(queues, size);
        it.frontend.set_inflight_fd(&region).unwrap();
        it.expect_served();
        region.queue(0).expect_settled(1);
    }
}

#[test]
fn region_without_a_file_is_refused() {
    let mut it = Bench::new();
    let geometry = Geometry::of(2, 128);
    let nothing = Message::inflight(FrontendReq::SET_INFLIGHT_FD, geometry);
    assert_eq!(it.frontend.tell(nothing), Err(Refused));
    let counter = EventFd::new();
    let counter = Message::inflight(FrontendReq::SET_INFLIGHT_FD, geometry).descriptor(&counter);
    assert_eq!(it.frontend.tell(counter), Err(Refused));
    it.expect_served();
}

#[test]
fn ring_that_is_longer_than_its_part_of_the_region_does_not_start() {
    let mut it = Bench::new();
    it.frontend.set_inflight_fd(&region()).unwrap();
    let queue = it.frontend.stopped_queue(256);
    it.frontend.prepare(0, &queue);
    assert_eq!(it.frontend.set_vring_kick(0, queue.kick_fd()), Err(Refused));
    let line = "queue 0: size 256 is more than the in-flight region has room for: 128";
    assert!(it.daemon.log().has(line), "{}", it.daemon.log().text());
    it.expect_served();
}

/// The driver was reset, and the front end keeps the region.
#[test]
fn ring_that_begins_anew_with_a_region_that_is_settled_is_served() {
    let mut it = Bench::new();
    let region = it.frontend.get_inflight_fd(1, 16).unwrap();
    it.frontend.set_inflight_fd(&region).unwrap();
    for _ in 0..3 {
        it.expect_served();
        region.queue(0).expect_settled(1);
    }
}

/// Its region says nothing about it, so nobody keeps it from being served.
#[test]
fn queue_for_which_the_region_has_no_part_is_served() {
    let mut it = Bench::new();
    let region = InFlightRegion::new(1, 16);
    it.frontend.set_inflight_fd(&region).unwrap();
    let mut disk = it.frontend.blk(3, 64);
    assert_eq!(disk.read(5, 1), Ok(it.image.sector(5)));
    assert_eq!(region.queue(0).used_idx(), 0);
}

#[test]
fn ring_that_is_shorter_than_its_part_of_the_region_is_served() {
    let mut it = Bench::new();
    let region = region();
    it.frontend.set_inflight_fd(&region).unwrap();
    it.expect_served();
    region.queue(0).expect_settled(1);
}

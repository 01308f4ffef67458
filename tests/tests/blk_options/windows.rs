// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The shapes of requests of the Windows driver (viostor): the header alone in its descriptor, data
//! in up to as many pieces as the config space allows, the status alone, all of it in an indirect
//! table if there are such; sector 0 first, then the name of the disk; discards in the units that
//! the config space says.

use std::thread;

use vhost_user_tests::prelude::*;

/// What it acks, if it is offered.
const FEATURES: u64 = VERSION_1
    | INDIRECT_DESC
    | EVENT_IDX
    | SEG_MAX
    | BLK_SIZE
    | FLUSH
    | TOPOLOGY
    | CONFIG_WCE
    | MQ
    | DISCARD
    | WRITE_ZEROES;

/// A page of Windows, and the length of its pieces.
const PAGE: usize = 4096;

#[test]
fn start_of_the_driver_is_served() {
    let mut it = Served::blk_with(&[], FEATURES);
    let config = it.frontend.blk_config();
    assert_eq!((config.capacity, config.blk_size), (64, 512));
    // One that divides by them, or takes them for a length.
    assert!(config.seg_max > 0 && config.num_queues > 0, "{config:?}");
    assert!(config.max_discard_sectors > 0 && config.discard_sector_alignment > 0, "{config:?}");
    assert_eq!(it.frontend.set_writeback(config.writeback), Ok(()));
    assert_eq!(it.disk.read(0, 1), Ok(it.image.sector(0)));
    let id = it.disk.id().expect("the name of the disk");
    assert!(!id.is_empty() && id.len() <= 20, "{id:?}");
    assert_eq!(it.disk.read(63, 1), Ok(it.image.sector(63)));
    assert_eq!(it.disk.flush(), Ok(()));
}

#[test]
fn data_in_as_many_pages_as_a_request_may_have_are_read_and_written() {
    let image = Image::of_sectors(2048);
    for direct in [false, true] {
        let mut launch = Daemon::blk().image(&image);
        if direct {
            launch = launch.args(["--cache", "none"]);
        }
        let mut it = Driven::start(launch, FEATURES);
        let most = usize::try_from(it.frontend.blk_config().seg_max).unwrap();
        let (pages, sectors) = (vec![PAGE; most], most * PAGE / SECTOR);
        let data: Bytes = (5000..).take(sectors).flat_map(Image::contents).collect();
        let cuts = [&[16], &pages[..]].concat();
        let write = Request::write(0, &data).cut_readable(&cuts).indirect();
        assert_eq!(it.disk.request(&write).status, Ok(()));
        let cuts = [&pages[..], &[1]].concat();
        let read = Request::read(0, sectors).cut_writable(&cuts).indirect();
        let done = it.disk.request(&read);
        assert_eq!(done.status, Ok(()));
        assert!(done.bytes == data, "what was read is not what was written");
        assert_eq!(usize::try_from(done.written), Ok(most * PAGE + 1));
    }
}

#[test]
fn data_that_begins_within_a_page_is_read_and_written() {
    let mut it = Served::blk_with(&[], FEATURES);
    // As a buffer of a program at 0x...e00 is cut: to the end of its page, whole pages, the rest.
    let cuts = [512, PAGE, PAGE, PAGE - 512];
    let sectors = cuts.iter().sum::<usize>() / SECTOR;
    let data: Bytes = (5000..).take(sectors).flat_map(Image::contents).collect();
    let write = Request::write(3, &data).cut_readable(&[&[16], &cuts[..]].concat()).indirect();
    assert_eq!(it.disk.request(&write).status, Ok(()));
    assert_eq!(it.image.sectors(3, sectors), data);
    let read = Request::read(3, sectors).cut_writable(&[&cuts[..], &[1]].concat());
    assert_eq!(it.disk.request(&read).bytes, data);
}

#[test]
fn each_processor_drives_a_queue_of_its_own() {
    let image = &Image::of_sectors(64);
    let daemon = Daemon::blk().image(image).args(["--num-queues", "4"]).start();
    let mut frontend = Frontend::connect(&daemon).negotiate(FEATURES);
    let mut queues: Vec<BlkQueue> = (0..4).map(|index| frontend.blk(index, 128)).collect();
    // The device may write to a ring until it is stopped, so each lasts as long as all of them.
    thread::scope(|scope| {
        for (mine, disk) in (0..4).zip(&mut queues) {
            scope.spawn(move || {
                for round in 0..50 {
                    let first = mine * 16;
                    let new: Bytes =
                        (0..16).flat_map(|n| Image::contents(round * 64 + n)).collect();
                    let write = Request::write(first, &new).cut_readable(&[16, PAGE, PAGE]);
                    let done = disk.request(&write.indirect());
                    assert_eq!(done.status, Ok(()));
                    assert_eq!(disk.flush(), Ok(()));
                    let read = Request::read(first, 16).cut_writable(&[PAGE, PAGE, 1]).indirect();
                    assert_eq!(disk.request(&read).bytes, new);
                    assert_eq!(image.sectors(first, 16), new);
                }
            });
        }
    });
}

#[test]
fn trim_of_the_whole_disk_in_the_units_of_the_limits_is_done() {
    let mut it = Served::blk_with(&[], FEATURES);
    let config = it.frontend.blk_config();
    let unit = config.max_discard_sectors / config.discard_sector_alignment
        * config.discard_sector_alignment;
    assert!(unit > 0, "{config:?}");
    let mut sector = 0;
    while sector < config.capacity {
        let left = u32::try_from(config.capacity - sector).unwrap();
        let extent = Extent::new(sector, left.min(unit));
        let request = Request::discard(&[extent]).cut_readable(&[16, 16]).indirect();
        assert_eq!(it.disk.request(&request).status, Ok(()));
        sector += u64::from(extent.sectors);
    }
    assert_eq!(it.image.bytes(), [0; 64 * SECTOR]);
}

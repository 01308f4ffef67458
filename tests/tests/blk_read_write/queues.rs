// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Many requests, many queues, and indices that wrap.

use std::thread;

use vhost_user_tests::prelude::*;

#[test]
fn batch_of_requests_with_one_kick_is_served() {
    let mut it = Served::blk();
    let mut disk = it.frontend.blk(1, 256);
    let reads: Vec<Request> = (0..64).map(|sector| Request::read(sector, 1)).collect();
    let heads = disk.submit_all(&reads);
    for _ in &heads {
        let (head, done) = disk.wait();
        let sector = heads.iter().position(|other| *other == head).unwrap();
        let expected = it.image.sector(sector.try_into().unwrap());
        assert_eq!((done.status, done.bytes), (Ok(()), expected));
    }
    assert_eq!(disk.in_flight(), 0);
}

#[test]
fn indices_that_pass_their_maximum_begin_at_zero() {
    for features in [USUAL, USUAL & !EVENT_IDX] {
        let mut it = Served::blk_with(&[], features);
        let queue = it.frontend.stopped_queue(16).starting_at(65530);
        it.frontend.start(1, &queue);
        let mut disk = BlkQueue::new(queue);
        for sector in 0..12 {
            assert_eq!(disk.read(sector, 1), Ok(it.image.sector(sector)));
        }
        assert_eq!(disk.queue.used_index(), 6);
    }
}

#[test]
fn smallest_queue_serves_one_request_after_the_other() {
    let mut it = Served::blk();
    let mut disk = it.frontend.blk(1, 4);
    for sector in 0..20 {
        assert_eq!(disk.read(sector, 1), Ok(it.image.sector(sector)));
    }
}

#[test]
fn largest_queue_serves_as_many_requests_at_once() {
    let mut it = Served::blk_with(&["--queue-size", "1024"], USUAL);
    let mut disk = it.frontend.blk(1, 1024);
    let reads: Vec<Request> = (0..1024).map(|i| Request::read(i % 64, 1).indirect()).collect();
    let heads = disk.submit_all(&reads);
    for _ in heads {
        assert_eq!(disk.wait().1.status, Ok(()));
    }
}

#[test]
fn last_queue_is_served_though_those_before_it_were_never_started() {
    let mut it = Served::blk();
    let mut last = it.frontend.blk(63, 16);
    assert_eq!(last.read(1, 1), Ok(it.image.sector(1)));
}

#[test]
fn queues_driven_at_the_same_time_do_not_mix_up_their_requests() {
    let mut it = Served::blk();
    let mut others: Vec<BlkQueue> = (1..4).map(|index| it.frontend.blk(index, 64)).collect();
    let image = &it.image;
    thread::scope(|scope| {
        for (mine, disk) in (0..).zip(&mut others) {
            scope.spawn(move || rewrite_and_check(disk, image, mine * 16));
        }
    });
}

/// Writes 16 sectors of its own over and over, four at a time, and reads them back.
fn rewrite_and_check(disk: &mut BlkQueue, image: &Image, first: u64) {
    for round in 0..100 {
        let new = |sector| Image::contents(round * 100 + sector);
        let mine = first..first + 16;
        let writes: Vec<Request> =
            mine.clone().map(|sector| Request::write(sector, &new(sector))).collect();
        for some in writes.chunks(4) {
            disk.submit_all(some);
            while disk.in_flight() > 0 {
                assert_eq!(disk.wait().1.status, Ok(()));
            }
        }
        let expected: Bytes = mine.flat_map(new).collect();
        assert_eq!(disk.read(first, 16), Ok(expected.clone()));
        assert_eq!(image.sectors(first, 16), expected);
    }
}

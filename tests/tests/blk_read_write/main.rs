// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a good driver asks of `vhost-user-blk`, in every shape that it may ask it in.

use vhost_user_tests::prelude::*;

mod config_space;
mod geometry;
mod queues;
mod regions;
mod serial;
mod shapes;

/// Somebody else's sectors, to be told from those of a new image.
fn foreign(sectors: u64) -> Bytes {
    (1000..1000 + sectors).flat_map(Image::contents).collect()
}

#[test]
fn read_returns_what_the_image_has() {
    let mut it = Served::blk();
    assert_eq!(it.disk.read(0, 1), Ok(it.image.sector(0)));
    assert_eq!(it.disk.read(63, 1), Ok(it.image.sector(63)));
    assert_eq!(it.disk.read(0, 64), Ok(it.image.sectors(0, 64)));
}

#[test]
fn write_changes_the_image_there_and_nowhere_else() {
    let mut it = Served::blk();
    let mut expected = it.image.bytes();
    expected[5 * SECTOR..8 * SECTOR].copy_from_slice(&foreign(3));
    assert_eq!(it.disk.write(5, &foreign(3)), Ok(()));
    assert_eq!(it.image.bytes(), expected);
}

#[test]
fn write_is_read_back_by_another_queue() {
    let mut it = Served::blk();
    let mut other = it.frontend.blk(1, 16);
    assert_eq!(it.disk.write(9, &foreign(1)), Ok(()));
    assert_eq!(other.read(9, 1), Ok(foreign(1)));
}

#[test]
fn flush_after_a_write_succeeds() {
    let mut it = Served::blk();
    assert_eq!(it.disk.write(0, &foreign(1)), Ok(()));
    assert_eq!(it.disk.flush(), Ok(()));
}

#[test]
fn write_of_a_driver_without_flush_succeeds() {
    let mut it = Served::blk_with(&[], VERSION_1);
    assert_eq!(it.disk.write(2, &foreign(1)), Ok(()));
    assert_eq!(it.image.sector(2), foreign(1));
}

#[test]
fn used_length_counts_data_and_status() {
    let mut it = Served::blk();
    assert_eq!(it.disk.request(&Request::read(0, 3)).written, 3 * 512 + 1);
    assert_eq!(it.disk.request(&Request::write(0, &foreign(3))).written, 1);
    assert_eq!(it.disk.request(&Request::flush()).written, 1);
    assert_eq!(it.disk.request(&Request::id()).written, 21);
    assert_eq!(it.disk.request(&Request::read(64, 1)).written, 1);
}

#[test]
fn read_of_no_bytes_succeeds() {
    let mut it = Served::blk();
    assert_eq!(it.disk.read(3, 0), Ok(Bytes::default()));
}

#[test]
fn unknown_request_is_unsupported() {
    let mut it = Served::blk();
    for kind in [2, 3, 10, 99, u32::MAX] {
        let done = it.disk.request(&Request::new(kind, 0, &[1; 16], 32));
        assert_eq!(done.status, Err(Status::Unsupported), "request {kind}");
    }
    assert!(it.daemon.log().has("queue 0: request type 2 is not supported"));
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The device's name: GET_ID.

use vhost_user_tests::blk::ID_LEN;
use vhost_user_tests::prelude::*;

#[test]
fn serial_from_the_command_line_is_the_devices_id() {
    let mut it = Served::blk_with(&["--serial", "disk seven"], USUAL);
    assert_eq!(it.disk.id(), Ok("disk seven".to_owned()));
}

#[test]
fn serial_of_twenty_bytes_has_no_zero_at_its_end() {
    let mut it = Served::blk_with(&["--serial", "12345678901234567890"], USUAL);
    assert_eq!(it.disk.request(&Request::id()).bytes, b"12345678901234567890");
}

#[test]
fn serial_by_default_stays_the_same_for_the_same_image() {
    let mut first = Served::blk();
    let name = first.disk.id().unwrap();
    assert!(!name.is_empty());
    assert!(name.len() <= ID_LEN && name.is_ascii(), "{name:?}");

    assert_eq!(first.daemon.sigterm().wait(), Exit::Clean);
    let other = Image::of_sectors(1);
    let mut names = [&first.image, &other].map(|image| {
        let daemon = Daemon::blk().image(image).start();
        Frontend::connect(&daemon).negotiate(USUAL).blk(0, 16).id().unwrap()
    });
    assert_eq!(names[0], name);
    names.sort();
    assert_ne!(names[0], names[1], "two images with the same serial");
}

#[test]
fn id_in_less_room_is_cut_off() {
    let mut it = Served::blk_with(&["--serial", "abcdefgh"], USUAL);
    let done = it.disk.request(&Request::new(8, 0, &[], 4));
    assert_eq!((done.status, done.written), (Ok(()), 5));
    assert_eq!(done.bytes, b"abcd");
}

#[test]
fn id_in_more_room_leaves_the_rest_alone() {
    let mut it = Served::blk_with(&["--serial", "abcdefgh"], USUAL);
    let done = it.disk.request(&Request::new(8, 0, &[], 64));
    assert_eq!(done.status, Ok(()));
    assert_eq!(done.bytes[..20], *b"abcdefgh\0\0\0\0\0\0\0\0\0\0\0\0");
}

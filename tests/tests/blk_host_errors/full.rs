// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A file system that is full.

use std::fs;

use vhost_user_tests::prelude::*;
use vhost_user_tests::private_mounts::PrivateMount;

on_each_engine!(write_for_which_there_is_no_room_is_an_error_until_there_is);

fn write_for_which_there_is_no_room_is_an_error_until_there_is(engine: &str) {
    let Some(place) = PrivateMount::tmpfs(1 << 20) else { return };
    let path = place.path().join("disk.img");
    let image = fs::File::create(&path).expect("make an image");
    image.set_len(4 << 20).expect("set the length of the image");
    let ballast = place.path().join("ballast");
    fs::write(&ballast, vec![1; 512 << 10]).expect("fill half of the file system");
    let launch = Daemon::blk().arg("--blk-file").arg(&path).args(["--io-engine", engine]);
    let mut it = Driven::start(launch, USUAL);

    let block = vec![7; 64 << 10];
    let place_of = |number: u64| number * (64 << 10) / 512;
    let full = (0..64).find(|number| it.disk.write(place_of(*number), &block).is_err());
    let full = full.expect("a write for which there is no room");
    assert!((1..=8).contains(&full), "{full} blocks of 64 KiB in 512 KiB");
    assert!(it.daemon.log().has("No space left on device (os error 28)"));
    for number in 0..full {
        let there = it.disk.read(place_of(number), 128);
        assert!(there == Ok(block.clone().into()), "block {number} is not what was written");
    }
    assert_eq!(it.disk.flush(), Ok(()));

    fs::remove_file(&ballast).expect("make room");
    assert_eq!(it.disk.write(place_of(full), &block), Ok(()));
    assert!(it.disk.read(place_of(full), 128) == Ok(block.into()));
}

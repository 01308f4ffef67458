// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the front end hears of it: CONFIG_CHANGE_MSG on the channel that it gave to the daemon.

use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use vhost_user_tests::deadline::Deadline;
use vhost_user_tests::frontend::{BackendChannel, BackendMessage};
use vhost_user_tests::prelude::*;

use crate::{capacity, refresh, resize, until_capacity};

/// The front end is told once, and finds `sectors` in the config space.
#[track_caller]
fn expect_told(it: &Served, channel: &BackendChannel, sectors: u64) {
    assert_eq!(channel.receive(Deadline::new()), Some(BackendMessage::config_change()));
    assert_eq!(capacity(&it.frontend), sectors);
    assert!(channel.is_silent(), "more than one message about one change");
}

#[test]
fn disk_that_grows_and_shrinks_is_announced_each_time() {
    let it = Served::blk();
    let channel = it.frontend.backend_channel();
    for sectors in [128, 8, 64] {
        it.image.set_len(sectors * SECTOR as u64);
        assert!(channel.is_silent(), "nobody has asked for it yet");
        refresh(&it.daemon);
        expect_told(&it, &channel, sectors);
    }
    let path = it.image.path();
    for line in ["has grown from 32768 to 65536 bytes", "has shrunk from 65536 to 4096 bytes"] {
        assert!(it.daemon.log().has(&format!("disk {path:?} {line}")), "{line}");
    }
}

#[test]
fn config_space_asked_for_before_the_channel_is_read_has_the_new_capacity() {
    let it = Served::blk();
    let channel = it.frontend.backend_channel();
    it.image.set_len(65536);
    refresh(&it.daemon);
    assert!(Deadline::new().readable(channel.socket()), "nothing was sent");
    assert_eq!(capacity(&it.frontend), 128);
    expect_told(&it, &channel, 128);
}

#[test]
fn size_that_stays_is_not_announced() {
    let it = Served::blk();
    let channel = it.frontend.backend_channel();
    refresh(&it.daemon);
    let line = format!("disk {:?} still has 32768 bytes", it.image.path());
    assert!(it.daemon.log().has(&line), "{line}");
    // The rest of the turn is over when the next message is answered.
    assert_eq!(capacity(&it.frontend), 64);
    assert!(channel.is_silent());
}

#[test]
fn growth_by_less_than_a_block_is_not_announced() {
    let it = Served::blk_with(&["--block-size", "4096"], USUAL | BLK_SIZE);
    let channel = it.frontend.backend_channel();
    it.image.set_len(32768 + 4095);
    refresh(&it.daemon);
    let line = format!("disk {:?} still has 32768 bytes", it.image.path());
    assert!(it.daemon.log().has(&line), "{line}");
    let rest = format!("the last 4095 bytes of disk {:?} are not a whole block", it.image.path());
    assert!(it.daemon.log().has(&rest), "{rest}");
    assert_eq!(capacity(&it.frontend), 64);
    assert!(channel.is_silent());
}

#[test]
fn growth_without_a_channel_is_found_by_asking() {
    let it = Served::blk();
    resize(&it, 128);
    let mut it = it.reconnected();
    assert_eq!(it.disk.read(127, 1), Ok(it.image.sector(127)));
}

#[test]
fn channel_that_is_never_read_holds_up_nothing() {
    const TIMES: u64 = 1000;
    let mut it = Served::blk();
    let channel = it.frontend.backend_channel();
    for sectors in 65..65 + TIMES {
        resize(&it, sectors);
        assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    }
    // Fewer than there were changes: it was full.
    let mut told = 0;
    while !channel.is_silent() {
        assert_eq!(channel.receive(Deadline::new()), Some(BackendMessage::config_change()));
        told += 1;
    }
    assert!(0 < told && told < TIMES, "{told} messages for {TIMES} changes");
    // Now that there is room, the next one is told again.
    it.image.set_len(512);
    refresh(&it.daemon);
    expect_told(&it, &channel, 1);
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn channel_that_is_full_from_the_start_holds_up_nothing() {
    let mut it = Served::blk();
    let channel = BackendChannel::new();
    fill(&channel);
    it.frontend.set_backend_req_fd(&channel).unwrap();
    resize(&it, 128);
    assert_eq!(it.disk.read(127, 1), Ok(it.image.sector(127)));
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
}

/// Fills the channel with what a back end might have sent, until it takes no more.
fn fill(channel: &BackendChannel) {
    let theirs = channel.as_fd().try_clone_to_owned().expect("one descriptor more");
    let theirs = UnixStream::from(theirs);
    theirs.set_nonblocking(true).expect("make a socket non-blocking");
    let message: Vec<u8> = [2_u32, 1, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let error = loop {
        if let Err(error) = (&theirs).write(&message) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    // The back end gets a socket on which it would wait.
    theirs.set_nonblocking(false).expect("make a socket blocking");
}

#[test]
fn many_signals_about_one_change_are_told_once() {
    let it = Served::blk();
    let channel = it.frontend.backend_channel();
    it.image.set_len(65536);
    for _ in 0..100 {
        refresh(&it.daemon);
    }
    until_capacity(&it.frontend, 128);
    expect_told(&it, &channel, 128);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! SET_BACKEND_REQ_FD: the channel on which the front end hears that the config space has changed,
//! from one such channel to the next.

use std::fs::File;
use std::os::unix::net::UnixStream;

use vhost_user_tests::deadline::{Deadline, until};
use vhost_user_tests::frontend::BackendMessage;
use vhost_user_tests::prelude::*;

use crate::stranger;

/// Has the image grow by a sector, and the daemon look at it.
fn grow(image: &Image, daemon: &Daemon) {
    let file = File::options().write(true).open(image.path()).expect("open the image");
    let len = file.metadata().expect("look at the image").len();
    file.set_len(len + SECTOR as u64).expect("grow the image");
    daemon.process().signal(libc::SIGUSR1);
}

/// The number of sectors in the config space.
#[track_caller]
fn capacity(frontend: &Frontend) -> u64 {
    let bytes = frontend.get_config(0, 8).expect("the config space");
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

/// Waits until the disk has `sectors` sectors.
#[track_caller]
fn until_grown(frontend: &Frontend, sectors: u64) {
    until("the disk to grow", || (capacity(frontend) == sectors).then_some(()));
}

#[test]
fn change_of_the_config_space_is_not_told_without_its_features() {
    for protocol in [Protocol::CONFIG, Protocol::BACKEND_REQ] {
        let (image, daemon, mut frontend) = stranger();
        frontend.agree(USUAL | PROTOCOL_FEATURES, Protocol::REPLY_ACK | protocol);
        let channel = frontend.backend_channel();
        grow(&image, &daemon);
        until_grown(&frontend, 65);
        assert!(frontend.is_served());
        assert!(channel.is_silent(), "told with {protocol:?} alone");
    }
}

#[test]
fn channel_replaced_is_told_and_its_predecessor_is_closed() {
    let it = Served::blk();
    let (old, theirs) = UnixStream::pair().unwrap();
    it.frontend.set_backend_req_fd(&theirs).unwrap();
    drop(theirs);
    let descriptors = it.daemon.descriptors();
    let new = it.frontend.backend_channel();
    assert_eq!(it.daemon.descriptors(), descriptors);
    assert!(Deadline::new().readable(&old), "its other end is still open");
    grow(&it.image, &it.daemon);
    assert_eq!(new.receive(Deadline::new()), Some(BackendMessage::config_change()));
}

#[test]
fn channel_whose_other_end_is_gone_harms_nobody() {
    let mut it = Served::blk();
    drop(it.frontend.backend_channel());
    for sectors in 65..68 {
        grow(&it.image, &it.daemon);
        until_grown(&it.frontend, sectors);
    }
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    let channel = it.frontend.backend_channel();
    grow(&it.image, &it.daemon);
    assert_eq!(channel.receive(Deadline::new()), Some(BackendMessage::config_change()));
}

#[test]
fn channel_is_closed_with_its_connection() {
    let it = Served::blk();
    let (ours, theirs) = UnixStream::pair().unwrap();
    it.frontend.set_backend_req_fd(&theirs).unwrap();
    drop(theirs);
    let it = it.reconnected();
    assert!(Deadline::new().readable(&ours), "its other end is still open");
    assert!(it.frontend.is_served());
}

#[test]
fn channel_outlives_a_reset() {
    let it = Served::blk();
    let channel = it.frontend.backend_channel();
    it.frontend.reset_device().unwrap();
    grow(&it.image, &it.daemon);
    assert_eq!(channel.receive(Deadline::new()), Some(BackendMessage::config_change()));
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The signal when no front end is there, or one that is not so far yet.

use vhost_user_tests::deadline::Deadline;
use vhost_user_tests::frontend::BackendMessage;
use vhost_user_tests::prelude::*;

use crate::{capacity, foreign, refresh};

#[test]
fn size_that_changed_while_nobody_was_there_is_the_next_front_ends() {
    let image = Image::of_sectors(64);
    let daemon = Daemon::blk().image(&image).start();
    for sectors in [128, 96] {
        image.set_len(sectors * SECTOR as u64);
        refresh(&daemon);
        let line = format!("{} bytes", sectors * SECTOR as u64);
        assert!(daemon.log().has(&line), "{line}");
        let mut frontend = Frontend::connect(&daemon).negotiate(USUAL);
        assert_eq!(capacity(&frontend), sectors);
        let mut disk = frontend.blk(0, 16);
        assert_eq!(disk.write(sectors - 1, &foreign(1)), Ok(()));
        assert_eq!(disk.read(sectors, 1), Err(Status::IoErr));
        assert_eq!(image.sector(sectors - 1), foreign(1));
    }
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn size_that_changed_without_word_of_it_stays_what_it_was() {
    let it = Served::blk();
    it.image.set_len(65536);
    let it = it.reconnected();
    assert_eq!(capacity(&it.frontend), 64);
}

#[test]
fn front_end_that_has_said_nothing_yet_is_not_told() {
    let image = Image::of_sectors(64);
    let daemon = Daemon::blk().image(&image).start();
    let stranger = Frontend::connect(&daemon);
    assert!(stranger.is_served());
    image.set_len(65536);
    refresh(&daemon);
    assert!(daemon.log().has("has grown from 32768 to 65536 bytes"));
    assert!(stranger.is_silent(), "a message that was not asked for");
    let frontend = stranger.negotiate(USUAL);
    assert_eq!(capacity(&frontend), 128);
    let channel = frontend.backend_channel();
    assert!(channel.is_silent(), "word of what it can know");
    image.set_len(512);
    refresh(&daemon);
    assert_eq!(channel.receive(Deadline::new()), Some(BackendMessage::config_change()));
}

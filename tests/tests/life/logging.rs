// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What is logged, how much of it, and for whom.

use vhost_user_tests::daemon::Launch;
use vhost_user_tests::prelude::*;

use crate::{any_blk, blk, expect_served};

/// What is logged about one connection with an unknown message, from beginning to end.
fn log_of(launch: Launch) -> String {
    let daemon = launch.start();
    let frontend = Frontend::connect(&daemon);
    frontend.send(&Message::numbered(1000));
    assert!(frontend.is_served());
    drop(frontend);
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    daemon.log().whole()
}

#[test]
fn log_by_default_tells_of_connections_and_odd_messages() {
    let log = log_of(any_blk());
    assert!(log.contains("vhost-user-blk: info: front end connected"), "{log}");
    assert!(log.contains("vhost-user-blk: warning: front end: "), "{log}");
    assert!(log.contains("unknown message 1000"), "{log}");
    assert!(!log.contains("debug"), "{log}");
}

#[test]
fn log_of_a_higher_level_has_less() {
    let log = log_of(any_blk().args(["--log-level", "warn"]));
    assert!(log.contains("unknown message 1000"), "{log}");
    assert!(!log.contains("info"), "{log}");
    assert_eq!(log_of(any_blk().args(["--log-level", "error"])), "");
    assert_eq!(log_of(any_blk().args(["--log-level", "off"])), "");
}

#[test]
fn log_of_the_lowest_level_tells_of_every_message() {
    let log = log_of(any_blk().args(["--log-level", "debug"]));
    assert!(log.contains("vhost-user-blk: debug: GetFeatures"), "{log}");
}

#[test]
fn log_for_the_journal_has_priorities_and_no_name() {
    let log = log_of(any_blk().journal());
    assert!(log.lines().any(|line| line == "<6>front end connected"), "{log}");
    assert!(log.lines().any(|line| line.starts_with("<4>front end: ")), "{log}");
    assert!(!log.contains("vhost-user-blk:"), "{log}");
}

#[test]
fn log_for_a_journal_that_reads_another_stream_has_names() {
    let log = log_of(any_blk().env("JOURNAL_STREAM", "8:1"));
    assert!(log.contains("vhost-user-blk: info: front end connected"), "{log}");
}

#[test]
fn log_that_shows_the_front_ends_descriptors_ends_nothing() {
    for level in ["debug", "trace"] {
        let (image, launch) = blk();
        let daemon = launch.args(["--log-level", level]).start();
        expect_served(Frontend::connect(&daemon), &image);
        assert!(daemon.log().has("SetMemTable"), "{}", daemon.log().text());
    }
}

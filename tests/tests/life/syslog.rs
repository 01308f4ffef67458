// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The log in syslog, and where it goes when that does not take it any more.

use std::path::Path;
use std::time::{Duration, Instant};

use vhost_user_tests::daemon::{Launch, Process};
use vhost_user_tests::deadline::until;
use vhost_user_tests::prelude::*;
use vhost_user_tests::syslog::Syslog;

use crate::{any_blk, expect_mistake, pid};

/// Neither namespaces nor a filter.
const FREE: [&str; 4] = ["--sandbox", "none", "--seccomp", "none"];

/// What is said when the next front end can come.
const WAITING: &str = "Waiting for vhost-user socket connection";

/// A connection from beginning to end, each of which is logged.
#[track_caller]
fn visit(daemon: &Daemon) {
    assert!(Frontend::connect(daemon).is_served());
}

fn to_syslog() -> Launch {
    any_blk().arg("--syslog")
}

#[test]
fn syslog_that_is_not_there_is_named() {
    let reason = "open syslog at \"/dev/log\": No such file or directory (os error 2)";
    if !Path::new("/dev/log").exists() {
        expect_mistake(&to_syslog().run(), reason);
    } else if let Some(mut syslog) = Syslog::start() {
        syslog.stop();
        expect_mistake(&to_syslog().run(), reason);
    }
}

#[test]
fn syslog_gets_the_log_with_name_and_pid_and_standard_error_nothing() {
    let Some(syslog) = Syslog::start() else { return };
    let daemon = to_syslog().start();
    visit(&daemon);
    let tag = format!("vhost-user-blk[{}]", daemon.process().pid());
    for text in ["front end connected", "front end disconnected"] {
        assert_eq!(syslog.hears_of(text), format!("<30>{tag}: {text}"));
    }
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    assert_eq!(daemon.log().whole(), "");
}

#[test]
fn syslog_gets_the_pid_of_the_process_in_the_background() {
    let Some(syslog) = Syslog::start() else { return };
    let launch = to_syslog();
    let file = launch.folder().join("pid");
    let started = launch.arg("--daemonize").arg("--pid-file").arg(&file).spawn();
    assert_eq!(started.wait(), Exit::Clean, "{}", started.log().whole());
    let daemon = Process::of(pid(&file));
    visit(&started);
    let expected = format!("<30>vhost-user-blk[{}]: front end connected", daemon.pid());
    assert_eq!(syslog.hears_of("front end connected"), expected);
    assert_eq!(started.log().whole(), "");
}

#[test]
fn syslog_hears_why_the_daemon_does_not_start_and_so_does_standard_error() {
    let Some(syslog) = Syslog::start() else { return };
    let reason =
        "open disk \"/nowhere/disk.img\" read-write: No such file or directory (os error 2)";
    let launch = Daemon::blk().args(["--syslog", "--blk-file", "/nowhere/disk.img"]);
    expect_mistake(&launch.run(), reason);
    let heard = syslog.hears();
    assert!(heard.starts_with("<27>vhost-user-blk[") && heard.ends_with(reason), "{heard}");
}

#[test]
fn log_goes_to_standard_error_once_syslog_was_restarted_out_of_the_sandboxs_reach() {
    let Some(mut syslog) = Syslog::start() else { return };
    for options in [&[][..], &["--sandbox", "none"], &["--seccomp", "none"]] {
        let daemon = to_syslog().args(options.iter().copied()).start();
        visit(&daemon);
        syslog.hears_of("front end disconnected");
        syslog.restart();
        visit(&daemon);
        // When it would be tried again, if there was a way.
        let begin = Instant::now();
        until("more than a second", || {
            (begin.elapsed() > Duration::from_millis(1100)).then_some(())
        });
        visit(&daemon);
        assert_eq!(daemon.sigterm().wait(), Exit::Clean);
        let log = daemon.log().whole();
        let reason = "Connection refused (os error 111)";
        let expected = format!("syslog: {reason}; the log comes here from now on");
        assert_eq!(log.lines().next(), Some(&*format!("vhost-user-blk: warning: {expected}")));
        assert_eq!(daemon.log().count("syslog"), 1, "{log}");
        assert_eq!(daemon.log().count("info: front end connected"), 2, "{log}");
        assert_eq!(syslog.heard(), None, "it was reached in spite of the sandbox");
    }
}

#[test]
fn log_goes_to_standard_error_while_there_is_no_syslog() {
    let Some(mut syslog) = Syslog::start() else { return };
    let daemon = to_syslog().args(FREE).start();
    syslog.stop();
    visit(&daemon);
    visit(&daemon);
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    let log = daemon.log().whole();
    let reason = "No such file or directory (os error 2)";
    let expected = format!("syslog: {reason}; the log comes here until it is back");
    assert_eq!(log.lines().next(), Some(&*format!("vhost-user-blk: warning: {expected}")));
    assert_eq!(daemon.log().count("syslog"), 1, "{log}");
    assert_eq!(daemon.log().count("info: front end connected"), 2, "{log}");
}

#[test]
fn syslog_that_did_not_read_for_a_while_gets_the_log_again() {
    let Some(syslog) = Syslog::start() else { return };
    // With much to say, so that there is soon no room.
    let daemon = to_syslog().args(["--log-level", "trace"]).start();
    until("a message that finds no room", || {
        visit(&daemon);
        (daemon.log().count("the log comes here until it is back") > 0).then_some(())
    });
    while syslog.heard().is_some() {}
    until("syslog to get the log again", || {
        visit(&daemon);
        syslog.heard()
    });
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn syslog_that_was_restarted_gets_the_log_of_a_daemon_without_a_sandbox() {
    let Some(mut syslog) = Syslog::start() else { return };
    let daemon = to_syslog().args(FREE).start();
    visit(&daemon);
    syslog.hears_of("front end disconnected");
    // The last that is said before the next one comes: nothing is while nobody listens.
    syslog.hears_of(WAITING);
    for _ in 0..2 {
        syslog.restart();
        visit(&daemon);
        syslog.hears_of("front end connected");
        syslog.hears_of("front end disconnected");
        syslog.hears_of(WAITING);
    }
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    assert_eq!(daemon.log().whole(), "");
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The pid file, and going to the background.

use std::fs;
use std::path::Path;

use vhost_user_tests::daemon::Process;
use vhost_user_tests::prelude::*;

use crate::{any_blk, blk, expect_mistake, expect_served};

fn pid(file: &Path) -> u32 {
    let text = fs::read_to_string(file).expect("read the pid file");
    let number = text.strip_suffix('\n').expect("a newline in the pid file");
    number.parse().expect("a number in the pid file")
}

#[test]
fn pid_file_has_the_pid_and_goes_with_the_daemon() {
    let launch = any_blk();
    let file = launch.folder().join("pid");
    let daemon = launch.arg("--pid-file").arg(&file).start();
    assert_eq!(pid(&file), daemon.process().pid());
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    assert!(!file.exists());
}

#[test]
fn pid_file_of_a_running_daemon_keeps_another_from_starting() {
    let (image, launch) = blk();
    let file = launch.folder().join("pid");
    let first = launch.arg("--pid-file").arg(&file).start();
    let other = Image::of_sectors(8);
    let second = Daemon::blk().image(&other).arg("--pid-file").arg(&file);
    let socket = second.folder().join("socket");
    let reason = format!("pid file {file:?} is locked by process {}", first.process().pid());
    expect_mistake(&second.run(), &reason);
    assert!(!socket.exists());
    assert_eq!(pid(&file), first.process().pid());
    expect_served(Frontend::connect(&first), &image);
}

#[test]
fn pid_file_of_a_dead_daemon_is_taken_over() {
    let (image, launch) = blk();
    let file = launch.folder().join("pid");
    fs::write(&file, "4194304\n").unwrap();
    let daemon = launch.arg("--pid-file").arg(&file).start();
    assert_eq!(pid(&file), daemon.process().pid());
    expect_served(Frontend::connect(&daemon), &image);
}

#[test]
fn daemon_in_the_background_listens_when_the_process_that_was_started_ends() {
    let (image, launch) = blk();
    let (file, socket) = (launch.folder().join("pid"), launch.folder().join("socket"));
    let started = launch.arg("--daemonize").arg("--pid-file").arg(&file).spawn();
    assert_eq!(started.wait(), Exit::Clean);
    let daemon = Process::of(pid(&file));
    assert_ne!(daemon.pid(), started.process().pid());
    // Its standard error is let go of: whoever reads it sees the end, with word of it.
    let log = started.log().whole();
    assert!(log.contains("the log ends here"), "{log}");
    expect_served(Frontend::connect(&socket), &image);
    expect_served(Frontend::connect(&socket), &image);
    daemon.signal(libc::SIGTERM);
    daemon.wait();
    assert!(!socket.exists() && !file.exists());
}

#[test]
fn daemon_that_cannot_start_says_so_before_it_goes_to_the_background() {
    let missing = Daemon::blk().args(["--daemonize", "--blk-file", "/nowhere/disk.img"]);
    let reason =
        "open disk \"/nowhere/disk.img\" read-write: No such file or directory (os error 2)";
    expect_mistake(&missing.run(), reason);
}

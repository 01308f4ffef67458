// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The pid file.

use std::fs;

use vhost_user_tests::prelude::*;

use crate::{any_blk, blk, expect_mistake, expect_served, pid};

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
    let reason = format!("pid file {file:?} is locked by process {}", first.process().pid());
    let ran = second.run();
    expect_mistake(&ran, &reason);
    assert!(!ran.touched, "a socket of a daemon that did not start");
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
fn pid_file_that_somebody_has_replaced_is_not_removed() {
    let launch = any_blk();
    let file = launch.folder().join("pid");
    let daemon = launch.arg("--pid-file").arg(&file).start();
    fs::remove_file(&file).unwrap();
    fs::write(&file, "somebody's").unwrap();
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    assert_eq!(fs::read_to_string(&file).unwrap(), "somebody's");
    assert!(!daemon.socket().exists());
}

#[test]
fn socket_and_pid_file_in_a_folder_that_was_renamed_go_with_the_daemon() {
    let launch = any_blk();
    let (old, new) = (launch.folder().join("old"), launch.folder().join("new"));
    fs::create_dir(&old).unwrap();
    let launch = launch.socket(&old.join("socket"));
    let daemon = launch.arg("--pid-file").arg(old.join("pid")).start();
    fs::rename(&old, &new).unwrap();
    assert!(new.join("socket").exists() && new.join("pid").exists());
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    assert_eq!(fs::read_dir(&new).unwrap().count(), 0, "{}", daemon.log().whole());
}

#[test]
fn files_of_a_daemon_that_was_killed_are_taken_over() {
    let (image, launch) = blk();
    let (socket, file) = (launch.folder().join("socket"), launch.folder().join("pid"));
    let first = launch.arg("--pid-file").arg(&file).start();
    first.sigkill();
    assert!(socket.exists() && file.exists());
    let next = Daemon::blk().image(&image).socket(&socket).arg("--pid-file").arg(&file).start();
    assert!(next.log().has(&format!("replaced the stale socket {socket:?}")));
    assert_eq!(pid(&file), next.process().pid());
    expect_served(Frontend::connect(&socket), &image);
    assert_eq!(next.sigterm().wait(), Exit::Clean);
    assert!(!socket.exists() && !file.exists());
}

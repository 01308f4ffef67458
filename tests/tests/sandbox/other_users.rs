// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Root's daemon in folders and with sockets that are another user's: it keeps the one capability
//! without which it would be kept out of them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use vhost_user_tests::daemon::Privileges;
use vhost_user_tests::deadline::Deadline;
use vhost_user_tests::ordinary;
use vhost_user_tests::prelude::*;
use vhost_user_tests::requires;

use crate::{blk, expect_served};

const KEPT: Privileges = Privileges { capabilities: Privileges::OVERRIDE, ..Privileges::NONE };

#[test]
fn socket_and_pid_file_in_the_folder_of_another_user_go_with_the_daemon() {
    if !requires::root() {
        return;
    }
    for options in [&[][..], &["--sandbox", "none"]] {
        let (image, launch) = blk();
        let folder = launch.folder().join("theirs");
        fs::create_dir(&folder).unwrap();
        ordinary::give(&folder).unwrap();
        let launch = launch.socket(&folder.join("socket")).args(options.iter().copied());
        let daemon = launch.arg("--pid-file").arg(folder.join("pid")).start();
        daemon.process().expect_privileges(KEPT);
        expect_served(Frontend::connect(&daemon), &image);
        assert_eq!(daemon.sigterm().wait(), Exit::Clean);
        let log = daemon.log().whole();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "{log}");
    }
}

/// Connects to a front end in `folder` twice, which `prepare` has the last word about before it is
/// connected to for the first time, when the daemon has made up its mind.
#[track_caller]
fn expect_connections(options: &[&str], folder: &Path, prepare: impl Fn(&Path)) {
    let (image, launch) = blk();
    let path = folder.join("front-end");
    let launch = launch.no_socket().args(options.iter().copied());
    let daemon = launch.arg("--connect").arg(&path).start();
    daemon.process().expect_privileges(KEPT);
    let listener = UnixListener::bind(&path).expect("make the front end's socket");
    prepare(&path);
    for _ in 0..2 {
        let there = Deadline::new().readable(&listener);
        assert!(there, "nobody connects: {}", daemon.log().text());
        let (connection, _) = listener.accept().expect("accept a connection");
        expect_served(Frontend::over(connection), &image);
    }
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    fs::remove_file(&path).expect("remove the front end's socket");
}

#[test]
fn front_end_of_another_user_is_connected_to_again() {
    if !requires::root() {
        return;
    }
    for options in [&[][..], &["--sandbox", "none"]] {
        let folder = tempfile::tempdir().unwrap();
        ordinary::give(folder.path()).unwrap();
        expect_connections(options, folder.path(), |path| ordinary::give(path).unwrap());
    }
}

#[test]
fn front_end_of_another_user_in_a_folder_of_all_is_connected_to_again() {
    if !requires::root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o1777)).unwrap();
    expect_connections(&[], folder.path(), |path| ordinary::give(path).unwrap());
}

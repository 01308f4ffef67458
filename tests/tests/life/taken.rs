// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A socket's place that another daemon has, or had.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use vhost_user_tests::prelude::*;

use crate::{any_blk, blk, expect_mistake, expect_served};

/// What a second daemon on the socket of `first` says.
fn in_use_by(first: &Daemon, path: &Path) -> String {
    let holder = first.process().pid();
    format!("socket {path:?} is in use by vhost-user-blk (process {holder})")
}

#[test]
fn socket_that_another_daemon_serves_is_named_with_that_daemon() {
    let (image, launch) = blk();
    let first = launch.start();
    let second = any_blk().socket(first.socket());
    expect_mistake(&second.run(), &in_use_by(&first, first.socket()));
    expect_served(Frontend::connect(&first), &image);
}

#[test]
fn socket_that_another_daemon_serves_outside_of_a_sandbox_is_named_with_that_daemon() {
    let (image, launch) = blk();
    let first = launch.args(["--sandbox", "none", "--seccomp", "none"]).start();
    let second = any_blk().socket(first.socket());
    expect_mistake(&second.run(), &in_use_by(&first, first.socket()));
    expect_served(Frontend::connect(&first), &image);
}

#[test]
fn socket_that_a_daemon_of_the_same_ordinary_user_serves_is_named_with_that_daemon() {
    let image = Image::of_sectors(8).of_ordinary_user();
    let first = Daemon::blk().image(&image).as_ordinary_user().start();
    let other = Image::of_sectors(8).of_ordinary_user();
    let second = Daemon::blk().image(&other).as_ordinary_user().socket(first.socket());
    expect_mistake(&second.run(), &in_use_by(&first, first.socket()));
    expect_served(Frontend::connect(&first), &image);
}

#[test]
fn socket_said_by_a_relative_path_is_in_use_by_either_name() {
    let (image, launch) = blk();
    let folder = launch.folder().to_owned();
    let socket = folder.join("socket");
    let launch = launch.no_socket().inside(&folder);
    let first = launch.args(["--socket-path", "socket"]).start();
    let second = any_blk().socket(&socket);
    expect_mistake(&second.run(), &in_use_by(&first, &socket));
    let second = any_blk().no_socket().inside(&folder).args(["--socket-path", "./socket"]);
    expect_mistake(&second.run(), &in_use_by(&first, Path::new("./socket")));
    expect_served(Frontend::connect(&socket), &image);
}

/// A folder whose path is too long for the address of a socket in it, which is so reached by a
/// relative path alone.
fn deep(folder: &Path) -> PathBuf {
    let deep = folder.join("deep".repeat(30));
    fs::create_dir(&deep).expect("make a folder");
    deep
}

#[test]
fn socket_that_only_a_relative_path_reaches_is_in_use_while_it_is_served() {
    let (image, launch) = blk();
    let folder = deep(launch.folder());
    let launch = launch.no_socket().inside(&folder);
    let first = launch.args(["--socket-path", "socket"]).start();
    let second = any_blk().no_socket().inside(&folder).args(["--socket-path", "socket"]);
    expect_mistake(&second.run(), &in_use_by(&first, Path::new("socket")));
    // The paths of sockets have an end where those of files have none yet.
    let link = first.folder().join("link");
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    expect_served(Frontend::connect(link.join("socket")), &image);
    assert_eq!(first.sigterm().wait(), Exit::Clean);
    assert!(!folder.join("socket").exists());
}

#[test]
fn daemon_that_was_killed_leaves_its_socket_to_the_next() {
    let (image, launch) = blk();
    let first = launch.start();
    let socket = first.socket().to_owned();
    first.sigkill();
    assert!(socket.exists());
    let second = Daemon::blk().image(&image).socket(&socket).start();
    expect_served(Frontend::connect(&socket), &image);
    assert_eq!(second.sigterm().wait(), Exit::Clean);
}

#[test]
fn socket_of_a_daemon_that_was_killed_is_replaced_by_a_relative_path_too() {
    let (image, launch) = blk();
    let folder = launch.folder().to_owned();
    let start = |launch: vhost_user_tests::daemon::Launch| {
        launch.no_socket().inside(&folder).args(["--socket-path", "socket"]).start()
    };
    let first = start(launch);
    first.sigkill();
    assert!(folder.join("socket").exists());
    let next = start(Daemon::blk().image(&image));
    assert!(next.log().has("replaced the stale socket \"socket\""));
    expect_served(Frontend::connect(folder.join("socket")), &image);
    assert_eq!(next.sigterm().wait(), Exit::Clean);
    assert!(!folder.join("socket").exists());
}

#[test]
fn socket_left_by_another_program_is_replaced() {
    let (image, launch) = blk();
    let path = launch.folder().join("socket");
    drop(UnixListener::bind(&path).unwrap());
    let daemon = launch.start();
    assert!(daemon.log().has(&format!("replaced the stale socket {path:?}")));
    expect_served(Frontend::connect(&daemon), &image);
}

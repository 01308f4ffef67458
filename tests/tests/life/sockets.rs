// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Where connections come from: a path, a descriptor, a service manager, or a front end that
//! listens.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};

use vhost_user_tests::deadline::Deadline;
use vhost_user_tests::prelude::*;
use vhost_user_tests::requires;

use crate::{any_blk, blk, expect_served};

fn mode(daemon: &Daemon) -> u32 {
    fs::metadata(daemon.socket()).expect("look at the socket").mode() & 0o777
}

#[test]
fn socket_path_is_listened_on_once_the_daemon_is_ready() {
    let (image, launch) = blk();
    let daemon = launch.start();
    expect_served(Frontend::connect(&daemon), &image);
}

#[test]
fn socket_is_the_owners_by_default() {
    assert_eq!(mode(&any_blk().start()), 0o600);
}

#[test]
fn socket_has_the_mode_that_it_was_given() {
    for (text, bits) in [("666", 0o666), ("0640", 0o640), ("0", 0)] {
        assert_eq!(mode(&any_blk().args(["--socket-mode", text]).start()), bits);
    }
}

#[test]
fn socket_has_the_group_that_it_was_given() {
    if !requires::root() {
        return;
    }
    let daemon = any_blk().args(["--socket-group", "4711"]).start();
    let group = fs::metadata(daemon.socket()).unwrap().gid();
    assert_eq!((group, mode(&daemon)), (4711, 0o660));
}

#[test]
fn descriptor_that_listens_is_served_connection_after_connection() {
    let (image, launch) = blk();
    let path = launch.folder().join("handed");
    let daemon = launch.handed(UnixListener::bind(&path).unwrap()).start();
    for _ in 0..3 {
        expect_served(Frontend::connect(&path), &image);
    }
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    assert!(path.exists(), "a socket that was handed in is not ours to remove");
}

#[test]
fn descriptor_that_is_connected_is_served_once() {
    let (image, launch) = blk();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let daemon = launch.handed(theirs).start();
    expect_served(Frontend::over(ours), &image);
    assert_eq!(daemon.wait(), Exit::Clean);
}

#[test]
fn descriptor_that_is_connected_ends_with_sigterm_too() {
    let launch = any_blk();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let daemon = launch.handed(theirs).start();
    let frontend = Frontend::over(ours).negotiate(USUAL);
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    frontend.expect_dropped();
}

#[test]
fn socket_of_a_service_manager_is_served_without_any_option() {
    let (image, launch) = blk();
    let path = launch.folder().join("activated");
    let listener = UnixListener::bind(&path).unwrap();
    // Whoever comes first need not wait for the daemon; it is the point of it.
    let early = UnixStream::connect(&path).unwrap();
    let daemon = launch.activated(listener).start();
    expect_served(Frontend::over(early), &image);
    expect_served(Frontend::connect(&path), &image);
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    assert!(path.exists(), "the service manager's socket is not ours to remove");
}

#[test]
fn front_end_that_listens_is_connected_to() {
    let (image, launch) = blk();
    let path = launch.folder().join("front-end");
    let listener = UnixListener::bind(&path).unwrap();
    let _daemon = launch.no_socket().arg("--connect").arg(&path).start();
    for _ in 0..3 {
        let (connection, _) = listener.accept().unwrap();
        expect_served(Frontend::over(connection), &image);
    }
}

#[test]
fn front_end_that_listens_later_is_connected_to_later() {
    let (image, launch) = blk();
    let path = launch.folder().join("front-end");
    let daemon = launch.no_socket().arg("--connect").arg(&path).start();
    let listener = UnixListener::bind(&path).unwrap();
    assert!(Deadline::new().readable(&listener), "nobody connects");
    let (connection, _) = listener.accept().unwrap();
    expect_served(Frontend::over(connection), &image);
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    assert!(path.exists(), "the front end's socket is not ours to remove");
}

#[test]
fn front_end_that_never_listens_does_not_hold_up_sigterm() {
    let launch = any_blk();
    let path = launch.folder().join("nobody");
    let daemon = launch.no_socket().arg("--connect").arg(&path).start();
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

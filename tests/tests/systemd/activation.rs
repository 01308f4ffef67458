// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Daemons that systemd-socket-activate starts when somebody connects.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use vhost_user_tests::prelude::*;
use vhost_user_tests::requires;

const ACTIVATE: &str = "systemd-socket-activate";

/// A daemon for `image` that is started when somebody connects to `socket`. It is the very process
/// that listens until then.
fn activated(image: &Image, socket: &Path) -> Daemon {
    // Of the environment it passes on what it is told to: this is where a daemon that counts what is
    // executed says so.
    let launch = Daemon::blk().under([
        ACTIVATE,
        "--setenv=LLVM_PROFILE_FILE",
        "--listen",
        &socket.to_string_lossy(),
    ]);
    launch.image(image).no_socket().spawn()
}

fn is_socket(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket())
}

/// The front end of the activator, which may not be listening yet.
fn connected(daemon: &Daemon, socket: &Path) -> Frontend {
    assert!(daemon.log().has("Listening on"), "{}", daemon.log().text());
    Frontend::connect(socket).negotiate(USUAL)
}

#[test]
fn daemon_started_by_a_connection_serves_it() {
    if !requires::program(ACTIVATE) {
        return;
    }
    let (image, folder) = (Image::of_sectors(8), tempfile::tempdir().unwrap());
    let socket = folder.path().join("socket");
    let daemon = activated(&image, &socket);
    let mut frontend = connected(&daemon, &socket);
    let mut disk = frontend.blk(0, 16);
    assert_eq!(disk.write(3, &image.sector(5)), Ok(()));
    assert_eq!(disk.flush(), Ok(()));
    assert_eq!(disk.read(3, 1), Ok(image.sector(5)));
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn daemon_started_by_a_connection_serves_the_ones_after_it() {
    if !requires::program(ACTIVATE) {
        return;
    }
    let (image, folder) = (Image::of_sectors(8), tempfile::tempdir().unwrap());
    let socket = folder.path().join("socket");
    let daemon = activated(&image, &socket);
    drop(connected(&daemon, &socket));
    for sector in 0..3 {
        let mut frontend = Frontend::connect(&socket).negotiate(USUAL);
        assert_eq!(frontend.blk(0, 16).read(sector, 1), Ok(image.sector(sector)));
    }
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn socket_of_systemd_is_left_by_a_daemon_that_ends_and_serves_the_next_one() {
    if !requires::program(ACTIVATE) {
        return;
    }
    let (image, folder) = (Image::of_sectors(8), tempfile::tempdir().unwrap());
    let socket = folder.path().join("socket");
    for sector in 0..2 {
        let daemon = activated(&image, &socket);
        let mut frontend = connected(&daemon, &socket);
        assert_eq!(frontend.blk(0, 16).read(sector, 1), Ok(image.sector(sector)));
        assert_eq!(daemon.sigterm().wait(), Exit::Clean);
        assert!(is_socket(&socket), "a socket that was handed in is not the daemon's to remove");
    }
}

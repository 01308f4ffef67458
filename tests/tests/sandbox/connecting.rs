// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A front end that listens, `--connect`: the one thing that a daemon reaches for while it serves.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::net::UnixListener;
use std::path::Path;

use vhost_user_tests::daemon::Launch;
use vhost_user_tests::deadline::Deadline;
use vhost_user_tests::prelude::*;

use crate::{blk, expect_confined, expect_served};

/// Connects to a front end at the path `path`.
fn to(launch: Launch, path: &Path) -> Launch {
    launch.no_socket().arg("--connect").arg(path)
}

/// The next connection of the daemon, from which it serves.
#[track_caller]
fn expect_connection(listener: &UnixListener, image: &Image) {
    assert!(Deadline::new().readable(listener), "nobody connects");
    let (connection, _) = listener.accept().expect("accept a connection");
    expect_served(Frontend::over(connection), image);
}

#[test]
fn front_end_that_went_away_is_connected_to_again() {
    let (image, launch) = blk();
    let path = launch.folder().join("front-end");
    let listener = UnixListener::bind(&path).unwrap();
    let daemon = to(launch, &path).start();
    expect_confined(&daemon, 0);
    for _ in 0..3 {
        expect_connection(&listener, &image);
    }
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn front_end_that_made_its_socket_anew_is_connected_to_again() {
    let (image, launch) = blk();
    let path = launch.folder().join("front-end");
    let mut listener = UnixListener::bind(&path).unwrap();
    let daemon = to(launch, &path).start();
    for _ in 0..3 {
        expect_connection(&listener, &image);
        fs::remove_file(&path).unwrap();
        listener = UnixListener::bind(&path).unwrap();
    }
    expect_connection(&listener, &image);
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    assert!(path.exists(), "the front end's socket is not ours to remove");
}

#[test]
fn folder_that_was_removed_with_the_front_end_ends_the_daemon() {
    let (image, launch) = blk();
    let folder = launch.folder().join("folder");
    fs::create_dir(&folder).unwrap();
    let path = folder.join("front-end");
    let listener = UnixListener::bind(&path).unwrap();
    let daemon = to(launch, &path).start();
    expect_connection(&listener, &image);
    drop(listener);
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(daemon.wait(), Exit::Code(1));
    let why = "was removed, and from the sandbox no other one can be found";
    let expected = format!("vhost-user-blk: the directory of {path:?} {why}");
    assert_eq!(daemon.log().whole().lines().last(), Some(&*expected));
}

#[test]
fn front_end_at_a_relative_path_is_connected_to_again() {
    for path in ["front-end", "./front-end", "folder/../front-end"] {
        let (image, launch) = blk();
        let folder = launch.folder().to_owned();
        fs::create_dir(folder.join("folder")).unwrap();
        let listener = UnixListener::bind(folder.join("front-end")).unwrap();
        let daemon = to(launch.inside(&folder), Path::new(path)).start();
        expect_connection(&listener, &image);
        expect_connection(&listener, &image);
        assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    }
}

#[test]
fn front_end_that_only_a_relative_path_reaches_is_connected_to_again() {
    let (image, launch) = blk();
    let link = launch.folder().join("link");
    let folder = launch.folder().join("deep".repeat(30));
    fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(&folder, &link).unwrap();
    let listener = UnixListener::bind(link.join("front-end")).unwrap();
    let daemon = to(launch.inside(&folder), Path::new("front-end")).start();
    expect_connection(&listener, &image);
    expect_connection(&listener, &image);
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn front_end_by_way_of_a_symbolic_link_to_its_folder_is_connected_to_again() {
    let (image, launch) = blk();
    let folder = launch.folder().join("folder");
    let link = launch.folder().join("link");
    fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink("folder", &link).unwrap();
    let listener = UnixListener::bind(folder.join("front-end")).unwrap();
    let daemon = to(launch, &link.join("front-end")).start();
    expect_connection(&listener, &image);
    expect_connection(&listener, &image);
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn front_end_is_connected_to_again_by_an_ordinary_user() {
    let image = Image::of_sectors(8).of_ordinary_user();
    let launch = Daemon::blk().image(&image).as_ordinary_user();
    let path = launch.folder().join("front-end");
    let listener = UnixListener::bind(&path).unwrap();
    let daemon = to(launch, &path).start();
    expect_confined(&daemon, 0);
    expect_connection(&listener, &image);
    expect_connection(&listener, &image);
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn front_end_at_a_relative_path_is_connected_to_again_where_no_empty_root_can_be_had() {
    for (number, errno) in [
        (libc::SYS_unshare, libc::EPERM),
        (libc::SYS_mount, libc::EPERM),
        (libc::SYS_pivot_root, libc::EINVAL),
        (libc::SYS_mount_setattr, libc::ENOSYS),
    ] {
        let (image, launch) = blk();
        let folder = launch.folder().to_owned();
        let listener = UnixListener::bind(folder.join("front-end")).unwrap();
        let launch = to(launch.inside(&folder), Path::new("front-end"));
        let daemon = launch.refused(number, errno).start();
        expect_connection(&listener, &image);
        expect_connection(&listener, &image);
        assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    }
}

#[test]
fn folder_of_the_front_end_is_all_that_is_left_of_the_host_and_cannot_be_written_to() {
    let (_image, launch) = blk();
    let folder = launch.folder().join("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(launch.folder().join("file"), "beside it").unwrap();
    let path = folder.join("front-end");
    let listener = UnixListener::bind(&path).unwrap();
    let daemon = to(launch, &path).start();
    assert!(Deadline::new().readable(&listener), "nobody connects");

    let mounts = daemon.process().text("mountinfo");
    assert_eq!(mounts.lines().count(), 2, "{mounts}");
    let point = mounts.lines().last().and_then(|line| line.split(' ').nth(4)).unwrap();
    let inside = daemon.process().place("root").join(point.trim_start_matches('/'));
    let names = fs::read_dir(&inside).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["front-end"]);
    let made = File::create(inside.join("file")).unwrap_err();
    assert_eq!(made.kind(), ErrorKind::ReadOnlyFilesystem);
}

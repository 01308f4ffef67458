// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! libvirt: it makes the socket, labels it and hands it over under a number of its choice; standard error
//! goes to a file. It ends the daemon by SIGTERM, and by SIGKILL if that takes long.

use vhost_user_tests::daemon::Exit;
use vhost_user_tests::{ordinary, requires};

use crate::{Scene, expect_end, expect_waiting, with_socket_as};

#[test]
fn libvirt_with_separate_options_has_its_file_read_and_ends_it_by_sigterm() {
    if !requires::root() {
        return;
    }
    let scene = Scene::new();
    let shared = scene.shared();
    let options = [
        "--fd=29",
        "--shared-dir",
        &shared,
        "--cache",
        "always",
        "--sandbox",
        "namespace",
        "--xattr",
        "--thread-pool-size=16",
        "--rlimit-nofile=4096",
        "--log-level",
        "debug",
    ];
    let daemon = with_socket_as(29, scene.listening(), &options).spawn();
    let mount = scene.mounted();
    assert_eq!(daemon.sigterm().wait(), Exit::Clean, "{}", daemon.log().text());
    mount.leave();
}

#[test]
fn libvirt_with_older_options_has_its_file_read_and_its_machine_ends_it() {
    if !requires::root() {
        return;
    }
    let scene = Scene::new();
    let list =
        format!("source={},cache=auto,sandbox=chroot,xattr,no_flock,no_posix_lock", scene.shared());
    let daemon = with_socket_as(7, scene.listening(), &["--fd=7", "-o", &list, "-d"]).spawn();
    scene.mounted().leave();
    expect_end(&daemon);
}

#[test]
fn libvirt_of_an_ordinary_user_has_its_file_read_with_root_inside_being_that_user() {
    let scene = Scene::of_ordinary_user();
    let shared = scene.shared();
    let own = format!("=:0:{}:1:", ordinary::USER);
    let (uid_map, gid_map) = (format!("--uid-map{own}"), format!("--gid-map{own}"));
    let options = ["--fd=5", "--shared-dir", &shared, &uid_map, &gid_map];
    if !requires::root() {
        return;
    }
    let daemon = with_socket_as(5, scene.listening(), &options).as_ordinary_user().spawn();
    expect_waiting(&daemon);
    scene.mounted().leave();
    expect_end(&daemon);
}

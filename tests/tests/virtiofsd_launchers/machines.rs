// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Proxmox VE, microvm.nix, Cloud Hypervisor, virtme-ng.

use std::fs;

use vhost_user_tests::daemon::Exit;
use vhost_user_tests::requires;

use crate::{Scene, expect_end, expect_waiting, with_path, with_socket_as};

#[test]
fn proxmox_has_its_file_read_and_its_machine_ends_it() {
    if !requires::root() {
        return;
    }
    let scene = Scene::new();
    let shared = format!("--shared-dir={}", scene.shared());
    let options = [
        "--fd=12",
        &shared,
        "--announce-submounts",
        "--syslog",
        "--cache=always",
        "--allow-direct-io",
        "--posix-acl",
        "--xattr",
    ];
    let daemon = with_socket_as(12, scene.listening(), &options).spawn();
    scene.mounted().leave();
    expect_end(&daemon);
}

#[test]
fn microvm_has_its_file_read_and_ends_it_by_sigterm() {
    if !requires::root() {
        return;
    }
    let scene = Scene::new();
    let shared = format!("--shared-dir={}", scene.shared());
    let socket = format!("--socket-path={}", scene.socket().display());
    for readonly in [&["--readonly"][..], &[]] {
        let daemon = with_path(&[
            &socket,
            "--socket-group=daemon",
            &shared,
            "--rlimit-nofile",
            &most_descriptors(),
            "--thread-pool-size",
            "2",
            "--posix-acl",
            "--xattr",
            "--cache=auto",
            "--inode-file-handles=prefer",
        ])
        .args(readonly.iter().copied())
        .spawn();
        expect_waiting(&daemon);
        let mount = scene.mounted();
        assert_eq!(daemon.sigterm().wait(), Exit::Clean);
        mount.leave();
    }
}

/// What microvm.nix wants, or as much as root may have here.
fn most_descriptors() -> String {
    const WANTED: u64 = 1_048_576;
    let limits = fs::read_to_string("/proc/self/limits").expect("read the limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("the limit");
    let hard = line.split_whitespace().nth(4).and_then(|number| number.parse().ok());
    WANTED.min(hard.unwrap_or(WANTED)).to_string()
}

#[test]
fn cloud_hypervisor_has_its_file_read_and_its_machine_ends_it() {
    if !requires::root() {
        return;
    }
    let scene = Scene::new();
    let shared = format!("--shared-dir={}", scene.shared());
    let socket = scene.socket().display().to_string();
    for options in [
        &["--log-level", "debug", "--cache=never", "--thread-pool-size=4"][..],
        &["--cache", "never", "--tag", "myfs"],
    ] {
        let options = [&["--socket-path", &socket, &shared], options].concat();
        let daemon = with_path(&options).spawn();
        expect_waiting(&daemon);
        scene.mounted().leave();
        expect_end(&daemon);
    }
}

#[test]
fn virtme_has_its_file_read_and_ends_it_by_sigkill() {
    if !requires::root() {
        return;
    }
    let scene = Scene::new();
    let (shared, socket) = (scene.shared(), scene.socket().display().to_string());
    let options = ["--socket-path", &socket, "--shared-dir", &shared];
    let daemon = with_path(&options).args(["-o", "cache=always", "--sandbox", "none"]).spawn();
    expect_waiting(&daemon);
    let mount = scene.mounted();
    daemon.sigkill();
    mount.leave();
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A daemon that root did not start: what it serves, and that it is confined all the same.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use vhost_user_tests::daemon::Privileges;
use vhost_user_tests::ordinary;
use vhost_user_tests::prelude::*;
use vhost_user_tests::requires;

use crate::{expect_confined, expect_refusal, expect_served, own_namespace};

#[test]
fn image_that_the_user_may_open_is_served_from_a_sandbox() {
    for options in [&[][..], &["--sandbox", "namespace"]] {
        let image = Image::of_sectors(8).of_ordinary_user();
        let launch = Daemon::blk().image(&image).as_ordinary_user();
        let daemon = launch.args(options.iter().copied()).start();
        expect_confined(&daemon, 0);
        assert_ne!(daemon.process().link("ns/user"), own_namespace("ns/user"));
        let expected = if requires::root() { ordinary::USER } else { owner_of_this_process() };
        assert_eq!(fs::metadata(daemon.process().place("status")).unwrap().uid(), expected);
        expect_served(Frontend::connect(&daemon), &image);
        assert_eq!(daemon.sigterm().wait(), Exit::Clean);
        assert!(!daemon.socket().exists());
    }
}

fn owner_of_this_process() -> u32 {
    fs::metadata("/proc/self").expect("look at /proc/self").uid()
}

#[test]
fn image_that_the_user_may_not_open_is_refused() {
    let image = Image::of_sectors(8).of_ordinary_user();
    fs::set_permissions(image.path(), Permissions::from_mode(0o400)).unwrap();
    let ran = Daemon::blk().image(&image).as_ordinary_user().run();
    let why = "Permission denied (os error 13)";
    let expected = format!("vhost-user-blk: open disk {:?} read-write: {why}", image.path());
    assert_eq!(expect_refusal(&ran), expected);

    let launch = Daemon::blk().image(&image).as_ordinary_user().arg("--read-only");
    let daemon = launch.start();
    expect_confined(&daemon, 0);
    let mut frontend = Frontend::connect(&daemon).negotiate(USUAL);
    assert_eq!(frontend.blk(0, 16).read(7, 1), Ok(image.sector(7)));
}

#[test]
fn image_of_root_is_refused() {
    if !requires::root() {
        return;
    }
    let image = Image::of_sectors(8);
    let ran = Daemon::blk().image(&image).as_ordinary_user().run();
    let why = "Permission denied (os error 13)";
    let expected = format!("vhost-user-blk: open disk {:?} read-write: {why}", image.path());
    assert_eq!(expect_refusal(&ran), expected);
}

/// What it takes to give up the bounding set is a capability, too; without a way to gain privileges
/// that set is nothing.
#[test]
fn daemon_of_an_ordinary_user_without_namespaces_has_no_privilege() {
    let image = Image::of_sectors(8).of_ordinary_user();
    let launch = Daemon::blk().image(&image).as_ordinary_user();
    let daemon = launch.args(["--sandbox", "none", "--seccomp", "kill"]).start();
    for (name, privileges) in daemon.process().privileges() {
        assert_eq!(Privileges { bounding: 0, ..privileges }, Privileges::NONE, "thread {name}");
    }
    expect_served(Frontend::connect(&daemon), &image);
}

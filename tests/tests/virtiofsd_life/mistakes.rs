// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the operator can get wrong: said before there is a socket.

use vhost_user_tests::daemon::{Exit, Launch};
use vhost_user_tests::fs::share::new_folder;
use vhost_user_tests::{ordinary, requires};

use crate::sharing;

/// It ends at once, says `message` and makes no socket.
#[track_caller]
fn expect_mistake(launch: Launch, message: &str) {
    let ran = launch.run();
    assert_eq!(ran.exit, Exit::Code(2), "{}", ran.stderr);
    assert!(ran.stderr.ends_with(&format!("virtiofsd: {message}")), "{}", ran.stderr);
    assert!(!ran.touched, "a file came or went");
}

#[test]
fn directory_that_is_not_there_is_named() {
    let folder = new_folder();
    let path = folder.path().join("nothing");
    let reason = "No such file or directory (os error 2)";
    expect_mistake(sharing(&path), &format!("open {path:?}, which is to be shared: {reason}"));
}

#[test]
fn device_is_refused() {
    let message =
        "\"/dev/null\" is neither a directory nor a regular file, and nothing else can be shared";
    expect_mistake(sharing("/dev/null".as_ref()), message);
}

#[test]
fn option_that_makes_no_sense_is_named_with_its_value() {
    let folder = new_folder();
    let launch = sharing(folder.path()).arg("--num-request-queues=64");
    expect_mistake(launch, "--num-request-queues 64: not a number from 1 to 63");
}

#[test]
fn change_of_the_root_directory_is_not_for_an_ordinary_user() {
    let folder = new_folder();
    let launch = sharing(folder.path()).args(["--sandbox", "chroot"]).as_ordinary_user();
    let message = "--sandbox chroot is for root, or whoever has CAP_SYS_CHROOT; --sandbox none does \
        without";
    expect_mistake(launch, message);
}

#[test]
fn users_are_mapped_for_ordinary_users_in_namespaces_alone() {
    let folder = new_folder();
    let message = "users and groups are mapped with --sandbox namespace, and not for root";
    let own = format!("--uid-map=:0:{}:1:", ordinary::USER);
    let launch = sharing(folder.path()).arg(&own).args(["--sandbox", "none"]).as_ordinary_user();
    expect_mistake(launch, message);
    if requires::root() {
        expect_mistake(sharing(folder.path()).arg(&own), message);
    }
}

#[test]
fn users_that_are_nobodys_to_have_are_named_by_newuidmap() {
    if !requires::root() || !requires::program("newuidmap") {
        return;
    }
    let folder = new_folder();
    let map = "--uid-map=:0:3000000:5:";
    let ran = sharing(folder.path()).arg(map).as_ordinary_user().run();
    assert_eq!(ran.exit, Exit::Code(2));
    let said = "--sandbox namespace lacks user namespace (newuidmap ended with exit status: 1: ";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
}

#[test]
fn limit_that_cannot_be_had_is_named() {
    let folder = new_folder();
    let launch = sharing(folder.path()).arg("--rlimit-nofile=18446744073709551614");
    let reason = "Operation not permitted (os error 1)";
    let limit = "set the limit on open descriptors to 18446744073709551614";
    expect_mistake(launch, &format!("{limit}: {reason}"));
}

#[test]
fn namespaces_that_cannot_be_had_are_named_with_what_does_without() {
    if !requires::root() {
        return;
    }
    let folder = new_folder();
    let launch = sharing(folder.path()).refused(libc::SYS_unshare, libc::EPERM);
    let message = "--sandbox namespace lacks mount namespace (Operation not permitted (os error 1)); \
        --sandbox chroot does without, for root, and --sandbox none for everybody";
    expect_mistake(launch, message);
}

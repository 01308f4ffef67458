// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Hosts that lack a part of what a sandbox is made of: what is still done, and what is said.

use vhost_user_tests::daemon::{Launch, Privileges};
use vhost_user_tests::prelude::*;

use crate::{NAMESPACES, blk, expect_refusal, expect_served, own_namespace};

/// A system call that makes namespaces or an empty root, how a host refuses it, and what is missing
/// then.
const NAMESPACES_REFUSED: [(i64, i32, &str); 4] = [
    (libc::SYS_unshare, libc::EPERM, "network namespace (Operation not permitted (os error 1))"),
    (libc::SYS_unshare, libc::ENOSPC, "network namespace (No space left on device (os error 28))"),
    (libc::SYS_mount, libc::EPERM, "empty root directory (Operation not permitted (os error 1))"),
    (libc::SYS_pivot_root, libc::EINVAL, "empty root directory (Invalid argument (os error 22))"),
];

/// The same for landlock: a kernel that was built without, and one that was told to do without.
const LANDLOCK_REFUSED: [(i64, i32); 2] = [
    (libc::SYS_landlock_create_ruleset, libc::ENOSYS),
    (libc::SYS_landlock_create_ruleset, libc::EOPNOTSUPP),
];

/// Has a shell of the user's, who is root there and nowhere else, see to it that no namespace can be
/// made any more, and gives all privileges up.
const WITHOUT_NAMESPACES: &str = "for kind in user mnt net ipc; do \
     echo 0 > /proc/sys/user/max_${kind}_namespaces || exit 77; done; \
     exec setpriv --bounding-set=-all --inh-caps=-all \"$0\" \"$@\"";

/// A daemon of an ordinary user on a host on which such users make no namespaces.
fn blk_without_namespaces() -> (Image, Launch) {
    let image = Image::of_sectors(8).of_ordinary_user();
    let launch = Daemon::blk().image(&image).as_ordinary_user();
    let shell = ["unshare", "--user", "--map-root-user", "sh", "-c", WITHOUT_NAMESPACES];
    (image, launch.under(shell))
}

/// What is said where `lack` cannot be had although it is asked for.
fn refusal(lack: &str) -> String {
    format!(
        "vhost-user-blk: --sandbox namespace lacks {lack}; --sandbox auto does with what there is"
    )
}

/// It serves, and there is one line about what is missing: `lack` and maybe more.
#[track_caller]
fn expect_word_of_it(launch: Launch, image: &Image, lack: &str) {
    let daemon = launch.start();
    daemon.process().expect_privileges(Privileges::NONE);
    expect_served(Frontend::connect(&daemon), image);
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    assert!(!daemon.socket().exists());
    let log = daemon.log().whole();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("sandbox")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    let beginning = "vhost-user-blk: warning: the sandbox is without what cannot be had here: ";
    assert!(lines[0].starts_with(&format!("{beginning}{lack}")), "{log}");
}

#[test]
fn namespaces_that_are_asked_for_and_cannot_be_had_are_refused_with_the_choice() {
    for (number, errno, lack) in NAMESPACES_REFUSED {
        let (_image, launch) = blk();
        let ran = launch.refused(number, errno).args(["--sandbox", "namespace"]).run();
        assert_eq!(expect_refusal(&ran), refusal(lack));
    }
}

#[test]
fn namespaces_that_are_asked_for_and_cannot_be_had_in_the_background_are_refused_too() {
    let (_image, launch) = blk();
    let launch = launch.refused(libc::SYS_unshare, libc::EPERM);
    let ran = launch.args(["--sandbox", "namespace", "--daemonize"]).run();
    let lack = "network namespace (Operation not permitted (os error 1))";
    assert_eq!(expect_refusal(&ran), refusal(lack));
}

#[test]
fn host_without_namespaces_is_served_and_that_is_said_once() {
    for (number, errno, lack) in NAMESPACES_REFUSED {
        let (image, launch) = blk();
        expect_word_of_it(launch.refused(number, errno), &image, lack);
    }
}

#[test]
fn host_whose_users_make_no_namespaces_is_served_and_that_is_said_once() {
    let (image, launch) = blk_without_namespaces();
    expect_word_of_it(launch, &image, "user namespace (No space left on device (os error 28))");
}

#[test]
fn host_whose_users_make_no_namespaces_is_refused_if_they_are_asked_for() {
    let (_image, launch) = blk_without_namespaces();
    let ran = launch.args(["--sandbox", "namespace"]).run();
    let lack = "user namespace (No space left on device (os error 28))";
    assert_eq!(expect_refusal(&ran), refusal(lack));
}

#[test]
fn host_without_landlock_is_served_and_that_is_said_once() {
    for (number, errno) in LANDLOCK_REFUSED {
        let (image, launch) = blk();
        expect_word_of_it(launch.refused(number, errno), &image, "landlock");
    }
}

#[test]
fn host_without_anything_of_it_is_served_by_choice_and_nothing_is_said() {
    let namespaces = NAMESPACES_REFUSED.map(|(number, errno, _)| (number, errno));
    for (number, errno) in namespaces.into_iter().chain(LANDLOCK_REFUSED) {
        let (image, launch) = blk();
        let daemon = launch.refused(number, errno).args(["--sandbox", "none"]).start();
        for link in NAMESPACES {
            assert_eq!(daemon.process().link(link), own_namespace(link), "{link}");
        }
        expect_served(Frontend::connect(&daemon), &image);
        assert_eq!(daemon.sigterm().wait(), Exit::Clean);
        assert!(!daemon.log().whole().contains("sandbox"), "{}", daemon.log().whole());
    }
}

#[test]
fn host_that_filters_no_system_calls_is_refused_with_the_choice() {
    for errno in [libc::ENOSYS, libc::EINVAL, libc::EOPNOTSUPP] {
        for options in [&[][..], &["--seccomp", "kill"], &["--seccomp", "log"]] {
            let (_image, launch) = blk();
            let launch = launch.refused(libc::SYS_seccomp, errno);
            let ran = launch.args(options.iter().copied()).run();
            let said = std::io::Error::from_raw_os_error(errno);
            let reason = format!("filter system calls; --seccomp none does without: {said}");
            assert_eq!(expect_refusal(&ran), format!("vhost-user-blk: {reason}"));
        }
    }
}

#[test]
fn host_that_filters_no_system_calls_is_served_by_choice() {
    let (image, launch) = blk();
    let launch = launch.refused(libc::SYS_seccomp, libc::ENOSYS);
    let daemon = launch.args(["--seccomp", "none"]).start();
    expect_served(Frontend::connect(&daemon), &image);
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

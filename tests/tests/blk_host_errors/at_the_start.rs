// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What this host does not have: said before the socket appears, or done without and said.

use vhost_user_tests::daemon::Launch;
use vhost_user_tests::fuse::{FuseFile, Manner};
use vhost_user_tests::prelude::*;
use vhost_user_tests::requires;

/// A file that cannot be opened with O_DIRECT.
fn file() -> Option<FuseFile> {
    FuseFile::with(vec![3; 64 * SECTOR], Manner { no_direct: true, ..Manner::default() })
}

#[test]
fn disk_that_cannot_be_had_past_the_page_cache_is_named_with_advice() {
    let Some(file) = file() else { return };
    let launch = Daemon::blk().arg("--blk-file").arg(file.path()).args(["--cache", "none"]);
    let ran = launch.run();
    assert_eq!(ran.exit, Exit::Code(2), "{}", ran.stderr);
    let line = ran.stderr.lines().last().unwrap_or_default();
    assert!(line.contains(&format!("{:?}", file.path())), "{}", ran.stderr);
    assert!(ran.stderr.contains("--cache writeback"), "{}", ran.stderr);
    assert!(!ran.touched, "a socket of a daemon that did not start");
}

#[test]
fn disk_that_cannot_be_had_past_the_page_cache_is_served_with_it_if_that_may_be() {
    let Some(file) = file() else { return };
    let launch = Daemon::blk().arg("--blk-file").arg(file.path()).args(["--cache", "auto"]);
    let mut it = Driven::start(launch, USUAL);
    assert!(it.daemon.log().has("O_DIRECT"), "nothing was said");
    assert_eq!(it.disk.read(1, 1), Ok(vec![3; SECTOR].into()));
    assert_eq!(it.disk.write(1, &Image::contents(1)), Ok(()));
    assert_eq!(it.disk.flush(), Ok(()));
}

#[test]
fn block_that_is_shorter_than_the_disk_takes_past_the_page_cache_is_named() {
    let image = Image::of_sectors(64);
    let Some(device) = requires::loop_device_with_sectors(image.path(), 4096) else { return };
    let launch = Daemon::blk().arg("--blk-file").arg(device.path());
    let ran = launch.args(["--cache", "none", "--block-size", "512"]).run();
    assert_eq!(ran.exit, Exit::Code(2), "{}", ran.stderr);
    let line = ran.stderr.lines().last().unwrap_or_default();
    for said in [&format!("{:?}", device.path()), "512", "4096"] {
        assert!(line.contains(said), "{said} in: {}", ran.stderr);
    }
}

/// A daemon that is refused io_uring, as by the seccomp filter of most containers.
fn without_io_uring(errno: i32) -> Launch {
    Daemon::blk().refused(libc::SYS_io_uring_setup, errno)
}

#[test]
fn host_without_io_uring_is_served_by_threads_and_that_is_said_once() {
    for errno in [libc::EPERM, libc::ENOSYS, libc::EACCES] {
        let image = Image::of_sectors(64);
        let mut it = Driven::start(without_io_uring(errno).image(&image), USUAL);
        let mut other = it.frontend.blk(1, 16);
        for disk in [&mut it.disk, &mut other] {
            assert_eq!(disk.read(1, 1), Ok(image.sector(1)));
            assert_eq!(disk.write(1, &Image::contents(9)), Ok(()));
            assert_eq!(disk.flush(), Ok(()));
        }
        assert!(it.daemon.log().has("io_uring"), "nothing was said");
        let log = it.daemon.log().text();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("io_uring")).collect();
        assert_eq!(lines.len(), 1, "{log}");
    }
}

#[test]
fn io_uring_that_is_asked_for_and_cannot_be_had_ends_the_daemon() {
    let image = Image::of_sectors(64);
    let launch = without_io_uring(libc::EPERM).image(&image).args(["--io-engine", "io_uring"]);
    let ran = launch.run();
    assert_eq!(ran.exit, Exit::Code(2), "{}", ran.stderr);
    let line = ran.stderr.lines().last().unwrap_or_default();
    assert!(line.contains("io_uring"), "{}", ran.stderr);
    assert!(line.contains("Operation not permitted (os error 1)"), "{}", ran.stderr);
}

#[test]
fn threads_that_are_asked_for_need_no_io_uring_and_say_nothing() {
    let image = Image::of_sectors(64);
    let launch = without_io_uring(libc::EPERM).image(&image).args(["--io-engine", "sync"]);
    let mut it = Driven::start(launch, USUAL);
    assert_eq!(it.disk.read(1, 1), Ok(image.sector(1)));
    assert_eq!(it.daemon.log().count("io_uring"), 0);
}

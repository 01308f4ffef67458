// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Nobody else writes to an image while it is served, and nobody serves one that somebody else
//! writes to: the locks are those of QEMU.

use std::path::Path;
use std::process::{Command, Output};

use vhost_user_tests::fuse::{FuseFile, Manner, Op};
use vhost_user_tests::prelude::*;
use vhost_user_tests::{reference, requires};

mod predecessor;

/// What `qemu-io` says to having `command` done to the image.
fn qemu_io(image: &Path, options: &[&str], command: &str) -> Output {
    let mut qemu_io = Command::new("qemu-io");
    qemu_io.args(["-f", "raw"]).args(options).args(["-c", command]).arg(image);
    qemu_io.output().expect("run qemu-io")
}

#[track_caller]
fn expect_locked_out(image: &Image, options: &[&str], command: &str) {
    let before = image.bytes();
    let ended = qemu_io(image.path(), options, command);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success(), "qemu-io {options:?} {command:?} was let in");
    assert!(said.contains("lock"), "{said}");
    assert_eq!(image.bytes(), before);
}

#[track_caller]
fn expect_let_in(image: &Image, options: &[&str], command: &str) {
    let ended = qemu_io(image.path(), options, command);
    let said = [ended.stdout, ended.stderr].concat();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn image_that_is_served_is_written_by_nobody_else() {
    if !requires::program("qemu-io") {
        return;
    }
    let it = Served::blk();
    expect_locked_out(&it.image, &[], "write 0 512");
    // Not while nobody is connected, either.
    drop((it.disk, it.frontend));
    expect_locked_out(&it.image, &[], "write 0 512");
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
    expect_let_in(&it.image, &[], "write 0 512");
}

#[test]
fn image_that_is_served_read_only_is_read_by_others_and_written_by_nobody() {
    if !requires::program("qemu-io") {
        return;
    }
    let it = Served::blk_with(&["--read-only"], USUAL | RO);
    expect_locked_out(&it.image, &[], "write 0 512");
    expect_let_in(&it.image, &["-r"], "read 0 512");
}

#[test]
fn image_is_served_read_only_by_several_at_once() {
    let image = Image::of_sectors(64);
    let launch = || Daemon::blk().image(&image).arg("--read-only");
    let mut served = [launch(), launch(), launch()].map(|launch| Driven::start(launch, USUAL | RO));
    for it in &mut served {
        assert_eq!(it.disk.read(63, 1), Ok(image.sector(63)));
    }
}

/// They all wait for as long as the lock is tried, so they do it at the same time.
#[test]
fn image_that_somebody_else_writes_to_is_not_served() {
    let Some(()) = requires::program(reference::PROGRAM).then_some(()) else { return };
    let image = Image::of_sectors(64);
    let (other, socket) = reference::serve(&image, 1);
    // It answers when it has its disk.
    let frontend = Frontend::over(socket).negotiate(VERSION_1);
    let ours = Image::of_sectors(64);
    let ourselves = Daemon::blk().image(&ours).start();

    let refused = [
        (Daemon::blk().image(&image), &image),
        (Daemon::blk().image(&image).arg("--read-only"), &image),
        (Daemon::blk().image(&ours), &ours),
        (Daemon::blk().image(&ours).arg("--read-only"), &ours),
    ];
    let refused = refused.map(|(launch, image)| {
        let socket = launch.folder().join("socket");
        (launch.spawn(), image, socket)
    });
    for (daemon, image, socket) in refused {
        assert_eq!(daemon.wait(), Exit::Code(2));
        let log = daemon.log().whole();
        let line = log.lines().last().unwrap_or_default();
        assert!(line.contains(&format!("{:?}", image.path())), "{log}");
        assert!(line.contains("lock"), "{log}");
        assert!(!socket.exists(), "a socket of a daemon that did not start");
    }
    assert_eq!(ourselves.sigterm().wait(), Exit::Clean);
    drop((frontend, other));
}

#[test]
fn image_without_a_lock_is_served_twice() {
    let image = Image::of_sectors(64);
    let launch = || Daemon::blk().image(&image).args(["--image-lock", "off"]);
    let [mut one, mut other] = [launch(), launch()].map(|launch| Driven::start(launch, USUAL));
    assert_eq!(one.disk.write(1, &Image::contents(9)), Ok(()));
    assert_eq!(other.disk.read(1, 1), Ok(Image::contents(9)));
    if requires::program("qemu-io") {
        expect_let_in(&image, &[], "write 0 512");
    }
}

#[test]
fn file_system_without_locks_is_warned_of_and_served() {
    let manner = Manner { asks_for_locks: true, ..Manner::default() };
    let Some(file) = FuseFile::with(vec![3; 64 * SECTOR], manner) else { return };
    file.fail_all(Op::Lock, libc::ENOLCK);
    let mut it = Driven::start(Daemon::blk().arg("--blk-file").arg(file.path()), USUAL);
    assert!(file.count(Op::Lock) > 0, "it was never tried");
    let said = format!("disk {:?}", file.path());
    let warned = |line: &&str| line.contains("warning: ") && line.contains("lock");
    let log = it.daemon.log().text();
    assert!(log.lines().filter(warned).any(|line| line.contains(&said)), "{log}");
    assert_eq!(it.disk.read(1, 1), Ok(vec![3; SECTOR].into()));
}

#[test]
fn disk_in_memory_has_no_lock_to_be_had() {
    for disk in ["mem:1M", "null:1M"] {
        let launch = || Daemon::blk().args(["--blk-file", disk]);
        let _both = [launch().start(), launch().start()];
    }
}

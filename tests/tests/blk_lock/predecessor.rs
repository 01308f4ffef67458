// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A daemon that was killed, and has not quite ended.

use vhost_user_tests::prelude::*;
use vhost_user_tests::{reference, requires};

use super::{FuseFile, Op};

on_each_engine!(late_write_of_a_daemon_that_was_killed_comes_before_all_of_the_next);

/// The host has a write in its hands that nobody can take back, so the process does not end: until
/// it has, the lock is held, and the next daemon waits.
fn late_write_of_a_daemon_that_was_killed_comes_before_all_of_the_next(engine: &str) {
    let Some(file) = FuseFile::of(vec![3; 64 * SECTOR]) else { return };
    let launch = || Daemon::blk().arg("--blk-file").arg(file.path()).args(["--io-engine", engine]);
    let mut it = Driven::start(launch(), USUAL);
    let [late, new] = [7, 8].map(|number| vec![number; SECTOR]);
    file.hold(Op::Write);
    it.disk.submit(&Request::write(5, &late));
    file.wait_for(Op::Write, 1);
    it.daemon.process().signal(libc::SIGKILL);
    let opened = file.count(Op::Open);
    let next = launch();
    let socket = next.folder().join("socket");
    let next = next.spawn();
    file.wait_for(Op::Open, opened + 1);
    // It waits, however long the test looks.
    let deadline = vhost_user_tests::deadline::Deadline::after(std::time::Duration::from_secs(1));
    assert!(!deadline.readable(&next.process().ended_fd()), "{}", next.log().text());
    assert!(!socket.exists(), "it listens before it has the lock");

    file.release(Op::Write);
    assert_eq!(it.daemon.wait(), Exit::Signal(libc::SIGKILL));
    // The file appears a moment before it is listened on.
    let listens = || next.log().has("Waiting for vhost-user socket connection").then_some(());
    vhost_user_tests::deadline::until("it to listen", listens);
    let mut frontend = Frontend::connect(&next).negotiate(USUAL);
    assert_eq!(frontend.blk(0, 16).write(5, &new), Ok(()));
    assert_eq!(file.bytes()[5 * SECTOR..6 * SECTOR], new);
}

#[test]
fn image_that_becomes_free_while_the_lock_is_tried_is_served() {
    if !requires::program(reference::PROGRAM) {
        return;
    }
    let image = Image::of_sectors(64);
    let (other, socket) = reference::serve(&image, 1);
    let frontend = Frontend::over(socket).negotiate(VERSION_1);
    let launch = Daemon::blk().image(&image);
    let socket = launch.folder().join("socket");
    let next = launch.spawn();
    // It has the image open, and does not listen.
    let opened = || (!next.process().open_flags(image.path()).is_empty()).then_some(());
    vhost_user_tests::deadline::until("it to open the image", opened);
    assert!(!socket.exists(), "it listens before it has the lock");
    other.sigkill();
    drop(frontend);
    // The file appears a moment before it is listened on.
    let listens = || next.log().has("Waiting for vhost-user socket connection").then_some(());
    vhost_user_tests::deadline::until("it to listen", listens);
    let mut frontend = Frontend::connect(&next).negotiate(USUAL);
    assert_eq!(frontend.blk(0, 16).read(1, 1), Ok(image.sector(1)));
}

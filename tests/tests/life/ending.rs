// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! How it ends: signals, exit codes, and what is removed.

use std::sync::atomic::{AtomicBool, Ordering};

use vhost_user_tests::deadline::{Deadline, until};
use vhost_user_tests::prelude::*;

use crate::{any_blk, blk, expect_served};

#[test]
fn sigterm_ends_an_idle_daemon_cleanly_and_removes_its_socket() {
    let daemon = any_blk().start();
    let socket = daemon.socket().to_owned();
    assert!(socket.exists());
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    assert!(!socket.exists());
}

#[test]
fn sigint_ends_the_daemon_as_sigterm_does() {
    let daemon = any_blk().start();
    let socket = daemon.socket().to_owned();
    assert_eq!(daemon.sigint().wait(), Exit::Clean);
    assert!(!socket.exists());
}

#[test]
fn sigterm_ends_a_daemon_that_serves() {
    let mut it = Served::blk();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
    it.frontend.expect_dropped();
    assert!(!it.daemon.socket().exists());
}

#[test]
fn sigterm_under_load_publishes_what_was_taken() {
    let mut it = Served::blk();
    let mut disk = it.frontend.blk(1, 1024);
    let write = Request::write(3, &Image::contents(3)).cut_readable(&[528]);
    for _ in 0..400 {
        disk.add(&write);
    }
    disk.queue.publish();
    disk.queue.kick();
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
    while disk.queue.next_unused() != disk.queue.used_index() {
        assert_eq!(disk.watch().1.status, Ok(()));
    }
}

#[test]
fn sighup_has_no_effect() {
    let mut it = Served::blk();
    it.daemon.process().signal(libc::SIGHUP);
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn sighup_before_serving_begins_has_no_effect() {
    let (image, launch) = blk();
    let first = launch.start();
    // It waits for the lock on the image.
    let second = Daemon::blk().image(&image).spawn();
    let opened = || (!second.process().open_flags(image.path()).is_empty()).then_some(());
    until("it to open the image", opened);
    second.process().signal(libc::SIGHUP);
    assert_eq!(first.sigterm().wait(), Exit::Clean);
    until("its socket", || second.socket().exists().then_some(()));
    let mut frontend = Frontend::connect(&second).negotiate(USUAL);
    assert_eq!(frontend.blk(0, 16).read(1, 1), Ok(image.sector(1)));
    assert_eq!(second.sigterm().wait(), Exit::Clean);
}

#[test]
fn sighup_at_any_moment_of_a_life_has_no_effect() {
    let (image, launch) = blk();
    let daemon = launch.start();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let hang_up = scope.spawn(|| {
            let mut count = 0;
            while !over.load(Ordering::Relaxed) {
                daemon.process().signal(libc::SIGHUP);
                count += 1;
                std::thread::yield_now();
            }
            count
        });
        for _ in 0..20 {
            expect_served(Frontend::connect(&daemon), &image);
        }
        let stopping = daemon.sigterm();
        // Not collected yet, so that its number is nobody else's.
        let ended = Deadline::new().readable(&daemon.process().ended_fd());
        over.store(true, Ordering::Relaxed);
        assert!(ended && hang_up.join().unwrap() > 0);
        assert_eq!(stopping.wait(), Exit::Clean);
    });
    assert!(!daemon.socket().exists());
}

#[test]
fn socket_that_somebody_has_replaced_is_not_removed() {
    let daemon = any_blk().start();
    let socket = daemon.socket().to_owned();
    std::fs::remove_file(&socket).unwrap();
    std::fs::write(&socket, "somebody's").unwrap();
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "somebody's");
}

#[test]
fn capabilities_are_printed_whatever_else_is_said() {
    let expected = "{\n  \"type\": \"block\",\n  \"features\": [\n    \"read-only\",\n    \"blk-file\"\n  ]\n}";
    let launches = [
        Daemon::blk().no_socket().arg("--print-capabilities"),
        Daemon::blk().arg("--print-capabilities"),
        Daemon::blk().args(["--nonsense", "--print-capabilities", "--blk-file"]),
    ];
    for launch in launches {
        let ran = launch.run();
        assert_eq!((ran.exit, ran.stdout.as_str()), (Exit::Clean, expected));
        assert_eq!(ran.stderr, "");
        assert!(!ran.touched);
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    let help = Daemon::blk().no_socket().arg("--help").run();
    assert_eq!(help.exit, Exit::Clean);
    for option in ["--blk-file", "--socket-path", "--num-queues", "--daemonize"] {
        assert!(help.stdout.contains(option), "{option} in:\n{}", help.stdout);
    }
    let version = Daemon::blk().no_socket().arg("--version").run();
    assert_eq!(version.exit, Exit::Clean);
    assert_eq!(version.stdout, concat!("vhost-user-blk ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn unused_queues_cost_next_to_nothing() {
    let image = Image::of_sectors(8);
    let rss = |queues: &str| {
        let daemon = Daemon::blk().image(&image).args(["--num-queues", queues]).start();
        let mut frontend = Frontend::connect(&daemon).negotiate(USUAL);
        assert_eq!(frontend.blk(0, 16).read(1, 1), Ok(image.sector(1)));
        until("the daemon's memory", || Some(daemon.rss_kib()))
    };
    let (few, many) = (rss("1"), rss("256"));
    assert!(many < few + 8192, "{many} KiB with 256 queues, {few} KiB with one");
}

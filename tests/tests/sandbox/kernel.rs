// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A running daemon as the kernel describes it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use vhost_user_tests::daemon::{Launch, Privileges, Process};
use vhost_user_tests::deadline::until;
use vhost_user_tests::prelude::*;
use vhost_user_tests::requires;

use crate::{NAMESPACES, blk, expect_confined, expect_served, own_namespace};

/// The soft and the hard limit of this name.
fn limit(daemon: &Daemon, name: &str) -> (String, String) {
    let limits = daemon.process().text("limits");
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("a limit");
    let mut words = line.split_whitespace().map(str::to_owned);
    let [soft, hard] = [(); 2].map(|()| words.next().expect("a number"));
    (soft, hard)
}

/// Started with these options, and busy: each kind of thread that it may ever have is there.
fn busy(launch: Launch) -> Driven {
    let mut it = Driven::start(launch.args(["--num-queues", "4"]), USUAL);
    let mut others: Vec<BlkQueue> = (1..4).map(|index| it.frontend.blk(index, 16)).collect();
    for disk in others.iter_mut().chain([&mut it.disk]) {
        assert_eq!(disk.read(1, 1), Ok(Image::contents(1)));
        assert_eq!(disk.write(1, &Image::contents(1)), Ok(()));
        assert_eq!(disk.flush(), Ok(()));
    }
    it
}

on_each_engine!(every_thread_is_filtered_and_has_no_privilege);

fn every_thread_is_filtered_and_has_no_privilege(engine: &str) {
    let (_image, launch) = blk();
    let it = busy(launch.args(["--io-engine", engine]));
    let threads = it.daemon.process().privileges();
    assert!(threads.iter().any(|(name, _)| name == "blk-q3"), "{threads:?}");
    it.daemon.process().expect_privileges(Privileges::NONE);
}

#[test]
fn every_thread_is_without_privilege_before_any_front_end_comes() {
    let (_image, launch) = blk();
    launch.start().process().expect_privileges(Privileges::NONE);
}

#[test]
fn daemon_without_a_filter_has_no_privilege_either() {
    for options in [&["--seccomp", "none"][..], &["--seccomp", "none", "--sandbox", "none"]] {
        let (_image, launch) = blk();
        let it = busy(launch.args(options.iter().copied()));
        it.daemon.process().expect_privileges(Privileges { filtered: false, ..Privileges::NONE });
    }
}

#[test]
fn daemon_without_namespaces_is_filtered_and_has_no_privilege() {
    let (_image, launch) = blk();
    let it = busy(launch.args(["--sandbox", "none"]));
    it.daemon.process().expect_privileges(Privileges::NONE);
    for link in NAMESPACES.iter().chain(&["ns/user", "ns/pid", "root", "cwd"]) {
        let ours = own_namespace(link);
        assert_eq!(it.daemon.process().link(link), ours, "{link}");
    }
}

#[test]
fn namespaces_are_the_daemons_own() {
    if !requires::root() {
        return;
    }
    for options in [&[][..], &["--sandbox", "namespace"]] {
        let (_image, launch) = blk();
        let daemon = launch.args(options.iter().copied()).start();
        expect_confined(&daemon, 0);
        // Root needs no user namespace to make the others, and its process number stays true.
        for link in ["ns/user", "ns/pid"] {
            assert_eq!(daemon.process().link(link), own_namespace(link), "{link}");
        }
    }
}

#[test]
fn root_of_a_daemon_is_empty_and_cannot_be_written_to() {
    let (image, launch) = blk();
    let daemon = launch.start();
    let root = daemon.process().place("root");
    let entries = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(entries.collect::<Vec<_>>(), Vec::<std::ffi::OsString>::new());
    let made = File::create(root.join("file")).unwrap_err();
    assert_eq!(made.kind(), ErrorKind::ReadOnlyFilesystem);
    let inode = |path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).unwrap();
    assert_eq!(inode(daemon.process().place("cwd")), inode(root));
    // Nothing of the host is mounted where the daemon is.
    let mounts = daemon.process().text("mountinfo");
    assert_eq!(mounts.lines().count(), 1, "{mounts}");
    expect_served(Frontend::connect(&daemon), &image);
}

#[test]
fn limits_can_only_be_lowered() {
    let (_image, launch) = blk();
    let daemon = launch.start();
    assert_eq!(limit(&daemon, "Max core file size"), ("0".to_owned(), "0".to_owned()));
    let (soft, hard) = limit(&daemon, "Max open files");
    assert_eq!(soft, hard);
}

/// How many of each kind of descriptor there are.
type Kinds = BTreeMap<String, usize>;

/// What the descriptors of a process are for: a file by the name that it has in `known`, all else by
/// its kind.
fn kinds(process: &Process, known: &[(&str, &Path)]) -> Kinds {
    let inode = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let mut kinds = Kinds::new();
    for entry in fs::read_dir(process.place("fd")).expect("list the descriptors") {
        let path = entry.expect("a descriptor").path();
        let link = fs::read_link(&path).expect("look at a descriptor").display().to_string();
        // Pipes and sockets have numbers.
        let kind = link.split(":[").next().filter(|kind| !kind.starts_with("anon_inode"));
        let file = known.iter().find(|(_, file)| inode(file) == inode(&path));
        let name = file.map(|(name, _)| *name).or(kind).unwrap_or(&link);
        *kinds.entry(name.to_owned()).or_default() += 1;
    }
    kinds
}

/// What a process has open that opens nothing: standard streams, and what these tests were given by
/// whoever started them.
fn inherited() -> Kinds {
    let idle = Launch::of("/bin/sleep".into()).no_socket().arg("1000").spawn();
    let ours = fs::read_link("/proc/self/exe").expect("the path of this test");
    until("another program to run", || (idle.process().link("exe") != ours).then_some(()));
    kinds(idle.process(), &[])
}

#[test]
fn descriptors_of_a_daemon_are_those_that_it_needs() {
    let (image, launch) = blk();
    let folder = launch.folder().to_owned();
    let elsewhere = tempfile::tempdir().unwrap();
    let pid_file = elsewhere.path().join("pid");
    let launch = launch.args(["--num-queues", "3"]).arg("--pid-file").arg(&pid_file);
    let daemon = launch.start();
    let known = [
        ("the image", image.path()),
        ("the socket's folder", &folder),
        ("the socket's file", daemon.socket()),
        ("the pid file's folder", elsewhere.path()),
        ("the pid file", &pid_file),
    ];
    let mut found = kinds(daemon.process(), &known);
    for (kind, count) in inherited() {
        let found = found.entry(kind).or_default();
        *found = found.saturating_sub(count);
    }
    found.retain(|_, count| *count > 0);
    let expected = [
        // The device's own, and each queue's twice.
        ("the image", 7),
        ("the socket's folder", 1),
        ("the socket's file", 1),
        ("the pid file's folder", 1),
        ("the pid file", 1),
        // The one that listens, and the service manager's.
        ("socket", 2),
        ("anon_inode:[signalfd]", 1),
        ("anon_inode:[eventpoll]", 1),
        // A mailbox for each queue, and one for what comes of it.
        ("anon_inode:[eventfd]", 4),
        ("anon_inode:[io_uring]", 3),
    ];
    assert_eq!(found, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
}

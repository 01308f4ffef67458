// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a daemon must not be able to do, tried from within by one that was built for it.

use std::fs;
use std::time::Duration;

use vhost_user_tests::daemon::{Launch, Process};
use vhost_user_tests::deadline::until;
use vhost_user_tests::kernel_log::KernelLog;
use vhost_user_tests::prelude::*;

use crate::expect_served;

/// What ends the daemon when it is tried, and the number of the system call by which it is.
const FATAL: [(&str, i64); 11] = [
    ("socket", libc::SYS_socket),
    ("execve", libc::SYS_execve),
    ("io_uring_setup", libc::SYS_io_uring_setup),
    ("mount", libc::SYS_mount),
    ("ptrace", libc::SYS_ptrace),
    ("signal", libc::SYS_kill),
    ("connect", libc::SYS_socket),
    ("unshare", libc::SYS_unshare),
    ("setuid", libc::SYS_setuid),
    ("chmod", libc::SYS_chmod),
    ("memory", libc::SYS_mmap),
];

/// What fails and ends nothing: the C library tries to open files of its own accord.
const REFUSED: [&str; 3] = ["open", "create", "up"];

const EPERM: &str = "Operation not permitted (os error 1)";
const EINVAL: &str = "Invalid argument (os error 22)";
const ENOENT: &str = "No such file or directory (os error 2)";
const EACCES: &str = "Permission denied (os error 13)";
const EROFS: &str = "Read-only file system (os error 30)";
const ENETUNREACH: &str = "Network is unreachable (os error 101)";
const ECONNREFUSED: &str = "Connection refused (os error 111)";
const SUCCEEDED: &str = "succeeded";

/// No filter, so that the rest of the sandbox has to do.
const UNFILTERED: [&str; 2] = ["--seccomp", "none"];

/// Nothing of a sandbox, so that an attempt fails for no reason but its own.
const FREE: [&str; 4] = ["--seccomp", "none", "--sandbox", "none"];

/// A daemon that is about to try `what`, on the first thread or, with `thread:` in front, another.
fn trying(what: &str) -> (Image, Launch) {
    let image = Image::of_sectors(8);
    let launch = Daemon::blk_with_hooks().image(&image).env("VHOST_USER_ATTEMPT", what);
    (image, launch)
}

/// Wherever it is tried from.
fn each_way(what: &str) -> [String; 2] {
    [what.to_owned(), format!("thread:{what}")]
}

/// What came of the attempt, which the daemon outlives.
#[track_caller]
fn outcome(launch: Launch, image: &Image, what: &str) -> String {
    let daemon = launch.start();
    let found = said_of(&daemon, what);
    expect_served(Frontend::connect(&daemon), image);
    found
}

/// What it says about the attempt.
#[track_caller]
fn said_of(daemon: &Daemon, what: &str) -> String {
    let said = format!("attempt {}: ", what.trim_start_matches("thread:"));
    assert!(daemon.log().has(&said), "{what}: nothing came of it: {}", daemon.log().text());
    let log = daemon.log().text();
    let line = log.lines().find_map(|line| line.split_once(&said)).expect("the outcome");
    line.1.to_owned()
}

/// The attempts end so, wherever they are made, of a daemon that `prepare` has the last word about.
#[track_caller]
fn expect_outcomes(expected: &[(&str, &str)], prepare: impl Fn(Launch) -> Launch) {
    for (what, expected) in expected {
        for what in each_way(what) {
            let (image, launch) = trying(&what);
            assert_eq!(outcome(prepare(launch), &image, &what), *expected, "{what}");
        }
    }
}

#[test]
fn system_call_outside_of_the_list_ends_the_daemon_by_sigsys() {
    for what in FATAL.into_iter().flat_map(|(what, _)| each_way(what)) {
        for options in [&[][..], &["--sandbox", "none"]] {
            let (_image, launch) = trying(&what);
            let daemon = launch.args(options.iter().copied()).spawn();
            assert_eq!(daemon.wait(), Exit::Signal(libc::SIGSYS), "{what}");
            assert_eq!(daemon.log().whole().matches("attempt").count(), 0, "{what}");
        }
    }
}

#[test]
fn system_call_outside_of_the_list_is_named_before_the_end_if_that_is_asked_for() {
    for (what, number) in FATAL {
        for what in each_way(what) {
            let (_image, launch) = trying(&what);
            let daemon = launch.args(["--seccomp", "trap"]).spawn();
            assert_eq!(daemon.wait(), Exit::Signal(libc::SIGSYS), "{what}");
            let log = daemon.log().whole();
            let reason = "error: --seccomp trap: system call";
            let line = format!("vhost-user-blk: {reason} {number} is not allowed");
            // Another thread may have the last word: that it waits for a front end.
            assert!(log.lines().any(|said| said == line), "{what}: {log}");
        }
    }
}

#[test]
fn file_that_is_opened_is_refused_by_the_filter_and_ends_nothing() {
    for filter in ["kill", "trap"] {
        let options = ["--sandbox", "none", "--seccomp", filter];
        expect_outcomes(&REFUSED.map(|what| (what, EACCES)), |launch| launch.args(options));
    }
}

#[test]
fn system_call_outside_of_the_list_is_in_the_kernels_log_if_that_is_asked_for() {
    let Some(mut kernel) = KernelLog::with_audit() else { return };
    let call = format!(" syscall={} ", libc::SYS_io_uring_setup);
    // Others have much to say as well, and the kernel leaves out what is too much at once.
    until("a message of the kernel about the system call", || {
        let (image, launch) = trying("io_uring_setup");
        let daemon = launch.args(["--seccomp", "log"]).start();
        assert!(daemon.log().has("attempt io_uring_setup: succeeded"), "{}", daemon.log().text());
        expect_served(Frontend::connect(&daemon), &image);
        let pid = format!(" pid={} ", daemon.process().pid());
        let words = ["type=1326", &pid, &call];
        kernel.hears_of(&words, Duration::from_millis(500)).then_some(())
    });
}

/// With all of the sandbox but the filter.
const CONFINED: [(&str, &str); 11] = [
    ("execve", ENOENT),
    ("open", ENOENT),
    ("create", ENOENT),
    ("up", EACCES),
    ("mount", EPERM),
    ("ptrace", EPERM),
    ("signal", EPERM),
    ("connect", EACCES),
    ("unshare", EPERM),
    ("setuid", EPERM),
    ("chmod", EROFS),
];

#[test]
fn attempts_fail_without_a_filter_too() {
    expect_outcomes(&CONFINED, |launch| launch.args(UNFILTERED));
    expect_outcomes(&CONFINED, |launch| launch.args(["--seccomp", "log"]));
}

/// What comes of the attempt by a daemon of an ordinary user, which a process of that user has started
/// and waits for.
#[track_caller]
fn outcome_in_a_family(options: &[&str], what: &str) -> String {
    let image = Image::of_sectors(8).of_ordinary_user();
    let launch = Daemon::blk_with_hooks().image(&image).env("VHOST_USER_ATTEMPT", what);
    let file = launch.folder().join("pid");
    let launch = launch.as_ordinary_user().under(["sh", "-c", "\"$0\" \"$@\"; exit $?"]);
    let parent = launch.args(options.iter().copied()).arg("--pid-file").arg(&file).start();
    let pid = fs::read_to_string(&file).expect("read the pid file");
    let child = Process::of(pid.trim_end().parse().expect("a number in the pid file"));
    assert_ne!(child.pid(), parent.process().pid());
    let found = said_of(&parent, what);
    expect_served(Frontend::connect(&parent), &image);
    child.signal(libc::SIGTERM);
    assert_eq!(parent.wait(), Exit::Clean);
    found
}

#[test]
fn attempts_of_an_ordinary_user_fail_without_a_filter_too() {
    for (what, expected) in CONFINED {
        // No user but one is known in there.
        let expected = if what == "setuid" { EINVAL } else { expected };
        assert_eq!(outcome_in_a_family(&UNFILTERED, what), expected, "{what}");
    }
}

#[test]
fn attempts_of_an_ordinary_user_succeed_without_a_sandbox() {
    for what in ["ptrace", "signal", "open", "up"] {
        assert_eq!(outcome_in_a_family(&FREE, what), SUCCEEDED, "{what}");
    }
}

/// Nothing of the host's file system, processes and network is reached, by landlock alone.
#[test]
fn attempts_fail_by_landlock_where_there_are_no_namespaces() {
    let expected = [
        ("execve", EACCES),
        ("open", EACCES),
        ("create", EACCES),
        ("up", EACCES),
        ("mount", EPERM),
        ("ptrace", EPERM),
        ("signal", EPERM),
        ("connect", EACCES),
        ("unshare", EPERM),
        ("setuid", EPERM),
    ];
    expect_outcomes(&expected, |launch| {
        launch.refused(libc::SYS_unshare, libc::EPERM).args(UNFILTERED)
    });
}

#[test]
fn attempts_fail_by_namespaces_where_there_is_no_landlock() {
    let expected = [
        ("execve", ENOENT),
        ("open", ENOENT),
        ("create", ENOENT),
        ("up", "there is nothing above"),
        ("mount", EPERM),
        ("ptrace", EPERM),
        ("connect", ENETUNREACH),
        ("unshare", EPERM),
        ("setuid", EPERM),
        ("chmod", EROFS),
    ];
    let refused = |launch: Launch| launch.refused(libc::SYS_landlock_create_ruleset, libc::ENOSYS);
    expect_outcomes(&expected, |launch| refused(launch).args(UNFILTERED));
    expect_outcomes(&[("up", EACCES)], refused);
}

/// That the attempts are real ones: what stood in their way was the sandbox.
#[test]
fn attempts_succeed_without_a_sandbox() {
    let expected = [
        ("socket", SUCCEEDED),
        ("io_uring_setup", SUCCEEDED),
        ("open", SUCCEEDED),
        ("create", SUCCEEDED),
        ("up", SUCCEEDED),
        ("signal", SUCCEEDED),
        ("connect", ECONNREFUSED),
        ("memory", SUCCEEDED),
    ];
    expect_outcomes(&expected, |launch| launch.args(FREE));
    let _ = fs::remove_file("/tmp/vhost-user-attempt");
    // It becomes another program, which ends well.
    let (_image, launch) = trying("execve");
    assert_eq!(launch.args(FREE).spawn().wait(), Exit::Clean);
}

/// An attempt that does not exist is a panic of the daemon's.
#[test]
fn panic_ends_the_daemon_by_its_own_signal_though_a_backtrace_is_wanted() {
    let (_image, launch) = trying("nothing-that-there-is");
    let daemon = launch.env("RUST_BACKTRACE", "1").spawn();
    let exit = daemon.wait();
    assert_ne!(exit, Exit::Signal(libc::SIGSYS), "{}", daemon.log().whole());
    assert_ne!(exit, Exit::Clean);
    assert!(daemon.log().whole().contains("there is no attempt"), "{}", daemon.log().whole());
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! When it ends, and what it leaves behind.

use std::fs;
use std::path::PathBuf;

use vhost_user_tests::daemon::{Daemon, Exit};
use vhost_user_tests::frontend::Frontend;
use vhost_user_tests::fs::share::new_folder;

use crate::sharing;

/// The pid file that goes with its socket.
fn pid_file(daemon: &Daemon) -> PathBuf {
    PathBuf::from(format!("{}.pid", daemon.socket().display()))
}

#[test]
fn front_end_that_leaves_ends_it_with_success_and_nothing_left_behind() {
    let folder = new_folder();
    let daemon = sharing(folder.path()).start();
    drop(Frontend::connect(&daemon));
    assert_eq!(daemon.wait(), Exit::Clean);
    let log = daemon.log().whole();
    let order =
        ["Waiting for vhost-user socket connection...", "Client connected, servicing requests"];
    let places = order.map(|line| log.find(&format!("virtiofsd: info: {line}\n")).unwrap());
    assert!(places.is_sorted(), "{log}");
    assert!(!daemon.socket().exists() && !pid_file(&daemon).exists());
}

#[test]
fn front_end_that_leaves_is_followed_by_the_next_one_if_that_is_asked_for() {
    let folder = new_folder();
    let daemon = sharing(folder.path()).arg("--keep-listening").start();
    for visits in 1..=3 {
        drop(Frontend::connect(&daemon));
        assert!(daemon.log().has("front end disconnected"));
        let said = "Client connected, servicing requests";
        vhost_user_tests::deadline::until("the next visit", || {
            (daemon.log().count(said) == visits).then_some(())
        });
    }
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn pid_is_beside_the_socket_as_long_as_it_lives() {
    let folder = new_folder();
    let daemon = sharing(folder.path()).start();
    let pid = fs::read_to_string(pid_file(&daemon)).unwrap();
    assert_eq!(pid, format!("{}\n", daemon.process().pid()));
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    assert!(!pid_file(&daemon).exists());
}

#[test]
fn second_one_on_its_socket_is_refused_with_the_first_ones_pid() {
    let folder = new_folder();
    let first = sharing(folder.path()).start();
    let second = sharing(folder.path()).socket(first.socket()).run();
    assert_eq!(second.exit, Exit::Code(2));
    let (path, pid) = (pid_file(&first), first.process().pid());
    let message = format!("virtiofsd: pid file {path:?} is locked by process {pid}");
    assert_eq!(second.stderr, message);
    assert_eq!(first.sigterm().wait(), Exit::Clean);
}

#[test]
fn socket_of_one_that_was_killed_is_taken_over() {
    let folder = new_folder();
    let first = sharing(folder.path()).start();
    first.sigkill();
    assert!(first.socket().exists() && pid_file(&first).exists());
    let second = sharing(folder.path()).socket(first.socket()).start();
    drop(Frontend::connect(&second));
    assert_eq!(second.wait(), Exit::Clean);
}

#[test]
fn pid_file_of_the_operators_is_written_beside_that_of_the_socket() {
    let folder = new_folder();
    let launch = sharing(folder.path());
    let path = launch.folder().join("chosen.pid");
    let daemon = launch.arg("--pid-file").arg(&path).start();
    let expected = format!("{}\n", daemon.process().pid());
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!(fs::read_to_string(pid_file(&daemon)).unwrap(), expected);
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    assert!(!path.exists());
}

#[test]
fn pid_file_that_is_chosen_as_that_of_the_socket_is_one() {
    let folder = new_folder();
    let launch = sharing(folder.path());
    let path = launch.folder().join("socket.pid");
    let daemon = launch.arg("--pid-file").arg(&path).start();
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", daemon.process().pid()));
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    assert!(!path.exists());
}

#[test]
fn syslog_that_is_not_there_is_done_without() {
    // Whether there is one here or not: it starts, and says that it waits.
    let folder = new_folder();
    let daemon = sharing(folder.path()).arg("--syslog").start();
    drop(Frontend::connect(&daemon));
    assert_eq!(daemon.wait(), Exit::Clean);
}

#[test]
fn what_has_no_effect_is_said_when_it_is_typed() {
    let folder = new_folder();
    let daemon = sharing(folder.path()).args(["-f", "--migration-mode=find-paths"]).start();
    let log = daemon.log();
    assert!(log.has("warning: -f has no effect: the process stays in the foreground"));
    assert!(log.has("warning: options about migration have no effect"));
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn capabilities_are_printed_in_the_form_that_libvirt_reads() {
    let ran = Daemon::fs().no_socket().args(["--print-capabilities", "--nonsense"]).run();
    assert_eq!(ran.exit, Exit::Clean);
    let expected = r#"{
  "type": "fs",
  "features": [
    "migrate-precopy",
    "posix-acl-negotiation-mode",
    "security-label-negotiation-mode",
    "separate-options"
  ]
}"#;
    assert_eq!(ran.stdout, expected);
}

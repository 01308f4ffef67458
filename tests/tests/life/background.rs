// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Going to the background: `--daemonize`.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use vhost_user_tests::daemon::{Launch, Process};
use vhost_user_tests::deadline::Deadline;
use vhost_user_tests::prelude::*;
use vhost_user_tests::requires;

use crate::{any_blk, blk, expect_mistake, expect_served, pid};

/// A daemon in the background.
struct Background {
    /// What was started, and has ended.
    started: Daemon,
    /// The process that goes on.
    daemon: Process,
    file: PathBuf,
}

impl Background {
    /// Has `launch` go to the background; what was started ends cleanly.
    #[track_caller]
    fn of(launch: Launch) -> Self {
        let file = launch.folder().join("pid");
        let started = launch.arg("--daemonize").arg("--pid-file").arg(&file).spawn();
        assert_eq!(started.wait(), Exit::Clean, "{}", started.log().whole());
        let daemon = Process::of(pid(&file));
        assert_ne!(daemon.pid(), started.process().pid());
        Self { started, daemon, file }
    }

    /// Ends it, and sees it remove its files.
    #[track_caller]
    fn end(self) {
        self.daemon.signal(libc::SIGTERM);
        self.daemon.wait();
        assert!(!self.started.socket().exists() && !self.file.exists());
    }
}

#[test]
fn daemon_in_the_background_listens_when_the_process_that_was_started_ends() {
    let (image, launch) = blk();
    let it = Background::of(launch);
    // Its standard error is let go of: whoever reads it sees the end, with word of it.
    let log = it.started.log().whole();
    assert!(log.contains("the log ends here"), "{log}");
    expect_served(Frontend::connect(&it.started), &image);
    expect_served(Frontend::connect(&it.started), &image);
    it.end();
}

#[test]
fn daemon_that_cannot_start_says_so_before_it_goes_to_the_background() {
    let missing = Daemon::blk().args(["--daemonize", "--blk-file", "/nowhere/disk.img"]);
    let reason =
        "open disk \"/nowhere/disk.img\" read-write: No such file or directory (os error 2)";
    expect_mistake(&missing.run(), reason);
}

#[test]
fn failure_in_the_background_is_one_of_the_process_that_was_started() {
    // Nothing but a new thread begins with this system call.
    let launch = any_blk().refused(libc::SYS_clone3, libc::EAGAIN);
    let (socket, file) = (launch.folder().join("socket"), launch.folder().join("pid"));
    let failed = launch.arg("--daemonize").arg("--pid-file").arg(&file).spawn();
    assert_eq!(failed.wait(), Exit::Code(1));
    let log = failed.log().whole();
    let reason = "Resource temporarily unavailable (os error 11)";
    assert!(log.lines().last().is_some_and(|line| line.ends_with(reason)), "{log}");
    assert!(!socket.exists() && !file.exists());
}

#[test]
fn relative_paths_mean_in_the_background_what_they_meant() {
    let image = Image::of_sectors(8);
    let launch = Daemon::blk().no_socket();
    let folder = launch.folder().to_owned();
    let launch = launch.inside(&folder).args(["--blk-file", "disk.img"]);
    let launch = launch.args(["--socket-path", "./socket", "--pid-file", "pid", "--daemonize"]);
    fs::copy(image.path(), folder.join("disk.img")).unwrap();
    let started = launch.spawn();
    assert_eq!(started.wait(), Exit::Clean, "{}", started.log().whole());
    let daemon = Process::of(pid(&folder.join("pid")));
    expect_served(Frontend::connect(folder.join("socket")), &image);
    daemon.signal(libc::SIGTERM);
    daemon.wait();
    assert!(!folder.join("socket").exists() && !folder.join("pid").exists());
}

#[test]
fn relative_path_to_a_front_end_means_in_the_background_what_it_meant() {
    let (image, launch) = blk();
    let folder = launch.folder().to_owned();
    let launch = launch.no_socket().inside(&folder).args(["--connect", "front-end"]);
    let started = launch.args(["--pid-file", "pid", "--daemonize"]).spawn();
    assert_eq!(started.wait(), Exit::Clean, "{}", started.log().whole());
    let daemon = Process::of(pid(&folder.join("pid")));
    let listener = UnixListener::bind(folder.join("front-end")).unwrap();
    for _ in 0..2 {
        assert!(Deadline::new().readable(&listener), "nobody connects");
        let (connection, _) = listener.accept().unwrap();
        expect_served(Frontend::over(connection), &image);
    }
    daemon.signal(libc::SIGTERM);
    daemon.wait();
    assert!(!folder.join("pid").exists());
}

#[test]
fn standard_streams_of_the_background_lead_nowhere() {
    let it = Background::of(any_blk());
    for stream in ["fd/0", "fd/1", "fd/2"] {
        assert_eq!(it.daemon.link(stream), Path::new("/dev/null"), "{stream}");
    }
    // Whoever waits for the end of what is said has it.
    it.started.output().whole();
    it.started.log().whole();
    it.end();
}

#[test]
fn terminal_is_let_go_of_in_the_background_and_its_end_is_nothing_to_the_daemon() {
    if !requires::program("script") {
        return;
    }
    // A terminal for the daemon, which ends with the process that was started.
    let script = "exec script -qec \"tty; $*\" /dev/null";
    let (image, launch) = blk();
    let it = Background::of(launch.under(["sh", "-c", script, "sh"]));
    let said = it.started.output().whole();
    assert!(said.contains("/dev/pts/"), "no terminal, so that this test shows nothing: {said}");

    let stat = it.daemon.text("stat");
    let (_, fields) = stat.rsplit_once(") ").expect("fields behind the name");
    let fields: Vec<&str> = fields.split(' ').collect();
    let [session, terminal] = [fields[3], fields[4]];
    assert_eq!(terminal, "0", "its controlling terminal");
    // One who leads a session gets the next terminal that it opens.
    assert_ne!(session, it.daemon.pid().to_string());
    let leader = format!("/proc/{session}");
    assert!(!Path::new(&leader).exists(), "the session's leader is still there");
    expect_served(Frontend::connect(&it.started), &image);
    it.end();
}

#[test]
fn sighup_has_no_effect_in_the_background() {
    let (image, launch) = blk();
    let it = Background::of(launch);
    it.daemon.signal(libc::SIGHUP);
    let frontend = Frontend::connect(&it.started);
    it.daemon.signal(libc::SIGHUP);
    expect_served(frontend, &image);
    it.daemon.signal(libc::SIGHUP);
    expect_served(Frontend::connect(&it.started), &image);
    it.end();
}

#[test]
fn pid_file_and_socket_of_the_background_keep_another_from_starting() {
    let (image, launch) = blk();
    let it = Background::of(launch);
    let holder = it.daemon.pid();
    let second = any_blk().arg("--pid-file").arg(&it.file).run();
    expect_mistake(&second, &format!("pid file {:?} is locked by process {holder}", it.file));
    let socket = it.started.socket();
    let second = any_blk().socket(socket).run();
    let reason = format!("socket {socket:?} is in use by vhost-user-blk (process {holder})");
    expect_mistake(&second, &reason);
    expect_served(Frontend::connect(socket), &image);
    it.end();
}

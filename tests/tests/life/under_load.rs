// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! SIGTERM in the middle of requests: the end comes within two seconds, whatever the host does.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use vhost_user_tests::deadline::until;
use vhost_user_tests::fuse::{FuseFile, Op};
use vhost_user_tests::prelude::*;
use vhost_user_tests::requires;

/// How long requests in flight have.
const BOUND: Duration = Duration::from_secs(2);

/// And the rest, on a machine with much else to do.
const SLACK: Duration = Duration::from_secs(2);

on_each_engine!(
    sigterm_ends_a_daemon_with_busy_queues_in_time,
    sigterm_ends_a_daemon_with_busy_queues_past_the_page_cache_in_time,
    sigterm_is_answered_in_time_although_a_disk_does_not,
);

/// A front end that keeps so many queues busy until it is killed.
struct Load(Child);

impl Load {
    fn on(daemon: &Daemon, queues: u32) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
        command.arg(daemon.socket()).arg(queues.to_string());
        // That the daemon leaves it is a failure to it, of which nobody wants to read.
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.expect("run a front end");
        let output = child.stdout.take().expect("the front end's standard output");
        let mut word = String::new();
        BufReader::new(output).read_line(&mut word).expect("read the front end's word");
        assert_eq!(word, "serving\n");
        Self(child)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to kill and still one to wait for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The daemon ends cleanly within the time that requests in flight have.
#[track_caller]
fn expect_end_in_time(daemon: &Daemon) {
    let begin = Instant::now();
    assert_eq!(daemon.sigterm().wait(), Exit::Clean, "{}", daemon.log().whole());
    let took = begin.elapsed();
    assert!(took < BOUND, "the end took {took:?}");
    assert!(!daemon.socket().exists());
}

/// The socket goes when the requests have had their time, and not much later.
#[track_caller]
fn expect_gone_after_the_bound(daemon: &Daemon, begin: Instant) {
    until("its socket to go", || (!daemon.socket().exists()).then_some(()));
    let took = begin.elapsed();
    assert!(took > BOUND / 2, "requests in flight had {took:?}");
    assert!(took < BOUND + SLACK, "the end took {took:?}");
}

fn sigterm_ends_a_daemon_with_busy_queues_in_time(engine: &str) {
    let image = Image::of_sectors(64);
    for _ in 0..3 {
        let launch = Daemon::blk().image(&image).args(["--io-engine", engine]);
        let daemon = launch.args(["--num-queues", "32"]).start();
        let _load = Load::on(&daemon, 32);
        expect_end_in_time(&daemon);
    }
}

fn sigterm_ends_a_daemon_with_busy_queues_past_the_page_cache_in_time(engine: &str) {
    let image = Image::of_sectors(64);
    if !requires::direct_io(image.path()) {
        return;
    }
    let launch = Daemon::blk().image(&image).args(["--io-engine", engine, "--cache", "none"]);
    let daemon = launch.args(["--num-queues", "16"]).start();
    let _load = Load::on(&daemon, 16);
    expect_end_in_time(&daemon);
}

/// The process itself goes when the host lets go of it; until then nothing of it is left that holds
/// anybody up.
fn sigterm_is_answered_in_time_although_a_disk_does_not(engine: &str) {
    let Some(file) = FuseFile::of(vec![3; 64 * SECTOR]) else { return };
    let launch = Daemon::blk().arg("--blk-file").arg(file.path()).args(["--io-engine", engine]);
    let pid_file = launch.folder().join("pid");
    let mut it = Driven::start(launch.arg("--pid-file").arg(&pid_file), USUAL);
    file.hold(Op::Read);
    it.disk.submit(&Request::read(5, 1));
    file.wait_for(Op::Read, 1);
    let begin = Instant::now();
    it.daemon.process().signal(libc::SIGTERM);
    expect_gone_after_the_bound(&it.daemon, begin);
    until("its pid file to go", || (!pid_file.exists()).then_some(()));
    file.release(Op::Read);
    assert_eq!(it.daemon.wait(), Exit::Code(1));
}

#[test]
fn sigterm_ends_a_daemon_whose_queue_stands_still_after_two_seconds_and_not_cleanly() {
    let mut it = Served::blk();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    let stopped = it.daemon.stop_thread("blk-q0");
    it.disk.submit(&Request::read(2, 1));
    let begin = Instant::now();
    it.daemon.process().signal(libc::SIGTERM);
    // Neither a hang-up nor being asked twice makes it shorter.
    it.daemon.process().signal(libc::SIGHUP);
    it.daemon.process().signal(libc::SIGTERM);
    expect_gone_after_the_bound(&it.daemon, begin);
    // The process is there until nobody holds a thread of it any more.
    drop(stopped);
    assert_eq!(it.daemon.wait(), Exit::Code(1));
    assert!(it.daemon.log().has("requests are still in flight after 2s; leaving them"));
}

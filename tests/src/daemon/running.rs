// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A daemon that runs, seen from outside: its signals, its exit code and its use of the machine.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Mutex;
use std::thread;

use tempfile::TempDir;

use super::binary::binary;
use super::launch::Launch;
use super::log::Log;
use crate::deadline::Deadline;
use crate::sys;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With the code 0.
    Clean,
    /// With another code.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// Somehow; it is not our child, so nobody told us.
    Unseen,
}

/// A running daemon. It is killed when the value is dropped.
#[derive(Debug)]
pub struct Daemon {
    process: Process,
    output: Log,
    log: Log,
    folder: TempDir,
    socket: Option<PathBuf>,
}

impl Daemon {
    /// `vhost-user-blk`, to be started.
    pub fn blk() -> Launch {
        Launch::of(binary("vhost-user-blk"))
    }

    pub(super) fn new(
        process: Process,
        output: Log,
        log: Log,
        folder: TempDir,
        socket: Option<PathBuf>,
    ) -> Self {
        Self { process, output, log, folder, socket }
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Where it listens.
    ///
    /// # Panics
    /// If it wasn't started with a path.
    pub fn socket(&self) -> &Path {
        self.socket.as_deref().expect("a daemon with a socket of its own")
    }

    /// The folder that is its alone, and goes with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it says on standard error.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What it says on standard output.
    pub fn output(&self) -> &Log {
        &self.output
    }

    /// Asks it to end.
    pub fn sigterm(&self) -> Stopping<'_> {
        self.process.signal(libc::SIGTERM);
        Stopping(&self.process)
    }

    /// Asks it to end, as the terminal does.
    pub fn sigint(&self) -> Stopping<'_> {
        self.process.signal(libc::SIGINT);
        Stopping(&self.process)
    }

    /// Waits until it ends.
    #[track_caller]
    pub fn wait(&self) -> Exit {
        self.process.wait()
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        self.process.descriptors().len()
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        self.process.count("task")
    }

    /// How many mappings of guest memory it has.
    pub fn guest_mappings(&self) -> usize {
        let maps = self.process.text("maps");
        maps.lines().filter(|line| line.contains("memfd:guest-memory")).count()
    }

    /// How much memory it has resident, in KiB.
    pub fn rss_kib(&self) -> u64 {
        let status = self.process.text("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        number.expect("VmRSS in /proc/PID/status")
    }

    /// Waits until it has `count` descriptors open again.
    ///
    /// # Panics
    /// When it keeps more, or fewer; then the text says which.
    #[track_caller]
    pub fn expect_descriptors(&self, count: usize) {
        let deadline = Deadline::new();
        while self.descriptors() != count {
            assert!(
                !deadline.is_over(),
                "{} descriptors instead of {count}: {}",
                self.descriptors(),
                self.process.descriptors().join(", ")
            );
            thread::yield_now();
        }
    }
}

impl AsRef<Path> for Daemon {
    fn as_ref(&self) -> &Path {
        self.socket()
    }
}

impl Drop for Daemon {
    #[expect(clippy::print_stderr, reason = "whoever reads about the failed test wants the log")]
    fn drop(&mut self) {
        self.process.kill();
        if thread::panicking() {
            eprintln!("--- the daemon's log:\n{}\n---", self.log.text());
        }
    }
}

/// A daemon that was asked to end.
#[derive(Debug)]
#[must_use = "a daemon that was asked to end has not ended yet"]
pub struct Stopping<'d>(&'d Process);

impl Stopping<'_> {
    /// Waits until it has.
    #[track_caller]
    pub fn wait(self) -> Exit {
        self.0.wait()
    }
}

/// A process, our child or not. It is killed when the value is dropped.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    ended: OwnedFd,
    child: Option<Mutex<Child>>,
}

impl Process {
    /// The process `pid`, which need not be our child.
    pub fn of(pid: u32) -> Self {
        Self { pid, ended: sys::pidfd(pid).expect("open a process"), child: None }
    }

    pub(super) fn child(child: Child) -> Self {
        let mut process = Self::of(child.id());
        process.child = Some(Mutex::new(child));
        process
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// A descriptor that is readable when it has ended.
    pub fn ended_fd(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        !Deadline::after(std::time::Duration::ZERO).readable(&self.ended)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        sys::kill(self.pid, signal).expect("signal the daemon");
    }

    /// Waits until it ends.
    #[track_caller]
    pub fn wait(&self) -> Exit {
        assert!(Deadline::new().readable(&self.ended), "the daemon does not end");
        let Some(child) = &self.child else {
            return Exit::Unseen;
        };
        let status = child.lock().expect("the child").wait().expect("wait for the daemon");
        match (status.code(), status.signal()) {
            (Some(0), _) => Exit::Clean,
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Unseen,
        }
    }

    fn kill(&self) {
        match self.child.as_ref().map(|child| child.lock()) {
            Some(Ok(mut child)) => {
                // It may have ended; then there is nothing to kill and still one to wait for.
                let _ = child.kill();
                let _ = child.wait();
            }
            Some(Err(_)) => (),
            None if self.is_running() => self.signal(libc::SIGKILL),
            None => (),
        }
    }

    fn count(&self, folder: &str) -> usize {
        let folder = format!("/proc/{}/{folder}", self.pid);
        fs::read_dir(&folder).unwrap_or_else(|e| panic!("list {folder}: {e}")).count()
    }

    /// What its descriptors are for, as the kernel names it.
    ///
    /// Those of files under /sys do not count: the C library looks there for the number of
    /// processors when a thread allocates for the first time, and closes the file at once.
    fn descriptors(&self) -> Vec<String> {
        let folder = format!("/proc/{}/fd", self.pid);
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("list {folder}: {e}"));
        let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let names = links.map(|link| link.display().to_string());
        names.filter(|name| !name.starts_with("/sys/")).collect()
    }

    fn text(&self, file: &str) -> String {
        let file = format!("/proc/{}/{file}", self.pid);
        fs::read_to_string(&file).unwrap_or_else(|e| panic!("read {file}: {e}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

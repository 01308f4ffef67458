// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A daemon that runs, seen from outside: its signals, its exit code and its use of the machine.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Mutex;
use std::thread;
use std::{env, fs};

use tempfile::TempDir;

use super::binary::{binary, binary_with_hooks};
use super::launch::Launch;
use super::log::Log;
use super::stopped::StoppedThread;
use crate::deadline::Deadline;
use crate::{engines, sys};

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
        let launch = Launch::of(binary("vhost-user-blk")).confining_itself();
        launch.args(engines::arguments_of_this_program().iter().copied())
    }

    /// `vhost-user-blk` with the hooks that tests have in it, to be started. VHOST_USER_TEST_ABORT
    /// and VHOST_USER_TEST_SHUFFLE in its environment say what they do.
    pub fn blk_with_hooks() -> Launch {
        let launch = Launch::of(binary_with_hooks("vhost-user-blk")).confining_itself();
        launch.args(engines::arguments_of_this_program().iter().copied())
    }

    /// `virtiofsd`, to be started. With VHOST_USER_FS_PEER in the environment it is the program that
    /// this names, of another house: so it can be seen what that one does in the same test.
    pub fn fs() -> Launch {
        match env::var_os("VHOST_USER_FS_PEER") {
            Some(peer) => Launch::of(peer.into()).ready_when_listening(),
            None => Launch::of(binary("virtiofsd")),
        }
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

    /// Ends it at once, wherever it is just now.
    #[track_caller]
    pub fn sigkill(&self) {
        self.process.signal(libc::SIGKILL);
        assert_eq!(self.wait(), Exit::Signal(libc::SIGKILL), "the end of a daemon that was killed");
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
        self.mappings_of("guest-memory")
    }

    /// How many mappings it has of memory files of this name.
    pub fn mappings_of(&self, name: &str) -> usize {
        let name = format!("memfd:{name}");
        self.process.text("maps").lines().filter(|line| line.contains(&name)).count()
    }

    /// How many mappings it has that another process may have, too.
    pub fn shared_mappings(&self) -> usize {
        let maps = self.process.text("maps");
        let access = |line: &str| line.split_whitespace().nth(1).is_some_and(|a| a.ends_with('s'));
        // The io_urings are the threads' own, and there from the start, as are the counters of a
        // daemon whose coverage is measured.
        let ours = |line: &str| line.ends_with("[io_uring]") || line.ends_with(".profraw");
        maps.lines().filter(|line| access(line) && !ours(line)).count()
    }

    /// How many mappings it has, of whatever.
    pub fn mappings(&self) -> usize {
        self.process.text("maps").lines().count()
    }

    /// How much memory it has resident, in KiB.
    pub fn rss_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// How much of the resident memory is its alone and in no file, in KiB.
    pub fn rss_anon_kib(&self) -> u64 {
        self.status_kib("RssAnon:")
    }

    fn status_kib(&self, field: &str) -> u64 {
        let status = self.process.text("status");
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        number.unwrap_or_else(|| panic!("{field} in /proc/PID/status"))
    }

    /// Stops its thread `name` wherever it is, until the value is dropped.
    #[track_caller]
    pub fn stop_thread(&self, name: &str) -> StoppedThread {
        StoppedThread::of(&self.process, name)
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

    /// Whether its first thread sleeps, and so has nothing to do.
    pub fn is_asleep(&self) -> bool {
        // The fields begin behind the name, which is in brackets and may have any in it.
        let stat = self.text(&format!("task/{}/stat", self.pid));
        stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('S'))
    }

    /// Limits the length that it can give to a file, in bytes: RLIMIT_FSIZE.
    pub fn limit_file_size(&self, len: u64) {
        sys::limit_file_size(self.pid, len).expect("limit the length of files");
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
                // One that waits for what this very test holds back does not end before the test.
                if Deadline::after(std::time::Duration::from_secs(5)).readable(&self.ended) {
                    let _ = child.wait();
                }
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

    /// The number of the thread `name`.
    pub(super) fn thread(&self, name: &str) -> Option<i32> {
        let folder = format!("/proc/{}/task", self.pid);
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("list {folder}: {e}"));
        let mut threads = entries.filter_map(|entry| {
            let path = entry.ok()?.path();
            let comm = fs::read_to_string(path.join("comm")).ok()?;
            (comm.trim_end() == name).then(|| path.file_name()?.to_str()?.parse().ok())?
        });
        threads.next()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

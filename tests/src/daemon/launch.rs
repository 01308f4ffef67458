// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a daemon is started with.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::UNIX_EPOCH;

use tempfile::TempDir;

use super::log::Log;
use super::running::{Daemon, Exit, Process};
use crate::deadline::{Deadline, until};
use crate::image::Image;
use crate::{ordinary, sys};

/// Passes the descriptor that is the shell's standard input on as number 3.
const HAND_OVER: &str = r#"exec 3<&0 0</dev/null; exec "$0" "$@""#;
/// The same, as a service manager does it for a service with a socket (sd_listen_fds).
const ACTIVATE: &str = r#"exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@""#;

/// A daemon that is about to start, with a folder of its own for its socket.
#[derive(Debug)]
#[must_use = "a daemon runs when it is started"]
pub struct Launch {
    wrapper: Vec<OsString>,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: TempDir,
    socket: Option<PathBuf>,
    handed: Option<(OwnedFd, &'static str)>,
    journal: bool,
    refused: Option<(i64, i32)>,
    inside: Option<PathBuf>,
    user: Option<u32>,
    confines_itself: bool,
    says_ready: bool,
}

/// A daemon that ran until it ended by itself.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub exit: Exit,
    /// All that it wrote to standard output.
    pub stdout: String,
    /// All that it wrote to standard error.
    pub stderr: String,
    /// Whether a file in its folder ever came or went.
    pub touched: bool,
}

impl Launch {
    /// The program `program`, on a socket in a folder of its own.
    pub fn of(program: PathBuf) -> Self {
        let folder = TempDir::with_prefix("daemon-").expect("make a folder for the daemon");
        let socket = Some(folder.path().join("socket"));
        Self {
            wrapper: Vec::new(),
            program,
            arguments: Vec::new(),
            environment: Vec::new(),
            folder,
            socket,
            handed: None,
            journal: false,
            refused: None,
            inside: None,
            user: None,
            confines_itself: false,
            says_ready: true,
        }
    }

    /// One that gives up all privileges and has its system calls filtered unless it is told not to;
    /// [`Launch::start`] looks whether it does.
    pub(super) fn confining_itself(mut self) -> Self {
        self.confines_itself = true;
        self
    }

    /// One that does not say READY=1: it is ready when its socket listens.
    pub(super) fn ready_when_listening(mut self) -> Self {
        self.says_ready = false;
        self
    }

    /// By way of another program, which starts it: that and its arguments. Not together with a
    /// socket that is handed over.
    pub fn under<A: Into<OsString>>(mut self, wrapper: impl IntoIterator<Item = A>) -> Self {
        self.wrapper = wrapper.into_iter().map(Into::into).collect();
        self
    }

    /// On a host that has the system call `number` fail with `errno`, as that of a container may.
    pub fn refused(mut self, number: i64, errno: i32) -> Self {
        self.refused = Some((number, errno));
        self
    }

    /// With `folder` as its working directory, in which relative paths begin.
    pub fn inside(mut self, folder: &Path) -> Self {
        self.inside = Some(folder.to_owned());
        self
    }

    /// As a user who is not root. Its folder and what is in it by then are that user's; what else it
    /// wants must be given to [`ordinary::USER`], unless the tests themselves are such a user's.
    pub fn as_ordinary_user(mut self) -> Self {
        if ordinary::tests_are_roots() {
            if !ordinary::may_run(&self.program) {
                let name = self.program.file_name().expect("the name of the daemon");
                let copy = self.folder.path().join(name);
                // By a program: what this process had open for writing, a child of it that another
                // test just makes would have, too, and nobody could run it.
                let status = Command::new("cp").arg(&self.program).arg(&copy).status();
                assert!(status.expect("run cp").success(), "copy the daemon");
                self.program = copy;
            }
            self.user = Some(ordinary::USER);
        }
        self
    }

    /// Serves `image`: `--blk-file`.
    pub fn image(self, image: &Image) -> Self {
        self.arg("--blk-file").arg(image.path())
    }

    /// Shares `folder`, or a single file: `--shared-dir`.
    pub fn share(self, folder: &Path) -> Self {
        self.arg("--shared-dir").arg(folder)
    }

    /// One argument more.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// More arguments.
    pub fn args<A: Into<OsString>>(self, arguments: impl IntoIterator<Item = A>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// One environment variable more.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// On the socket `path` instead of one in a folder of its own: the daemon that was there is
    /// gone, and its front end comes back.
    pub fn socket(mut self, path: &Path) -> Self {
        self.socket = Some(path.to_owned());
        self
    }

    /// Without `--socket-path`.
    pub fn no_socket(mut self) -> Self {
        self.socket = None;
        self
    }

    /// With a socket, listening or connected, instead of a path: `--fd 3`.
    pub fn handed(self, socket: impl Into<OwnedFd>) -> Self {
        self.passed(socket).args(["--fd", "3"])
    }

    /// With `descriptor` open as number 3, and no path.
    pub fn passed(mut self, descriptor: impl Into<OwnedFd>) -> Self {
        self.handed = Some((descriptor.into(), HAND_OVER));
        self.no_socket()
    }

    /// With a listening socket, as a service manager hands it over: LISTEN_FDS.
    pub fn activated(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.handed = Some((socket.into(), ACTIVATE));
        self.no_socket()
    }

    /// With standard error read by journald, or so it seems: JOURNAL_STREAM.
    pub fn journal(mut self) -> Self {
        self.journal = true;
        self
    }

    /// The folder that is the daemon's alone, and goes with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the daemon and waits until it says that it is ready.
    ///
    /// # Panics
    /// When it ends before that, or doesn't say so: READY=1 to NOTIFY_SOCKET. Or when a thread of it
    /// has privileges then, or no filter.
    #[track_caller]
    pub fn start(self) -> Daemon {
        if !self.says_ready {
            return self.start_listening();
        }
        let notify = self.folder.path().join("notify");
        let ready = UnixDatagram::bind(&notify).expect("bind the socket for READY=1");
        let anybody = Permissions::from_mode(0o666);
        fs::set_permissions(&notify, anybody).expect("let any user say READY=1");
        let confined =
            self.confines_itself && !self.arguments.iter().any(|word| word == "--seccomp");
        let daemon = self.env("NOTIFY_SOCKET", notify).spawn();
        let fds = [ready.as_fd(), daemon.process().ended_fd()];
        let mut word = [0; 256];
        match Deadline::new().first_readable(&fds) {
            Some(0) => {
                let len = ready.recv(&mut word).expect("receive READY=1");
                let word = String::from_utf8_lossy(&word[..len]);
                assert!(word.lines().any(|line| line == "READY=1"), "{word:?}, not READY=1");
            }
            Some(_) => panic!("the daemon ended: {:?}: {}", daemon.wait(), daemon.log().whole()),
            None => panic!("the daemon does not say READY=1"),
        }
        if confined {
            daemon.process().expect_hardly_a_privilege();
        }
        daemon
    }

    /// Starts the daemon and waits until its socket listens, without connecting to it: for some that
    /// would be the one connection that they serve.
    #[track_caller]
    fn start_listening(self) -> Daemon {
        /// What the kernel says of a socket that listens (__SO_ACCEPTCON).
        const LISTENS: &str = "00010000";
        let daemon = self.spawn();
        let path = daemon.socket().display().to_string();
        until("a socket that listens", || {
            let ended = !daemon.process().is_running();
            assert!(!ended, "the daemon ended: {:?}: {}", daemon.wait(), daemon.log().whole());
            let sockets = fs::read_to_string("/proc/net/unix").expect("read the list of sockets");
            let ours = |line: &&str| line.ends_with(&path) && line.contains(LISTENS);
            sockets.lines().find(ours).map(drop)
        });
        daemon
    }

    /// Starts the daemon and waits until it ends.
    #[track_caller]
    pub fn run(self) -> Ran {
        let folder = File::open(self.folder.path()).expect("open the daemon's folder");
        folder.set_modified(UNIX_EPOCH).expect("set the time of the daemon's folder");
        let daemon = self.spawn();
        let exit = daemon.wait();
        let (stdout, stderr) = (daemon.output().whole(), daemon.log().whole());
        let modified = folder.metadata().and_then(|folder| folder.modified());
        let touched = modified.expect("look at the daemon's folder") != UNIX_EPOCH;
        Ran { exit, stdout, stderr, touched }
    }

    /// Starts the daemon and waits for nothing.
    pub fn spawn(self) -> Daemon {
        let mut command = match &self.handed {
            None => match self.wrapper.split_first() {
                None => Command::new(&self.program),
                Some((wrapper, arguments)) => {
                    let mut wrapped = Command::new(wrapper);
                    wrapped.args(arguments).arg(&self.program);
                    wrapped
                }
            },
            Some((_, script)) => {
                let mut shell = Command::new("/bin/sh");
                shell.arg("-c").arg(script).arg(&self.program);
                shell
            }
        };
        if let Some(socket) = &self.socket {
            command.arg("--socket-path").arg(socket);
        }
        command.args(&self.arguments);
        // What this process was told by a service manager is not for the daemon.
        for name in ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "JOURNAL_STREAM"] {
            command.env_remove(name);
        }
        command.envs(self.environment);
        if let Some((number, errno)) = self.refused {
            sys::refuse(&mut command, number, errno);
        }
        if let Some(folder) = &self.inside {
            command.current_dir(folder);
        }
        if let Some(user) = self.user {
            ordinary::give(self.folder.path()).expect("give the daemon its folder");
            command.uid(user).gid(user);
        }
        let stdin = self.handed.map_or_else(Stdio::null, |(socket, _)| socket.into());
        let (log, stderr) = io::pipe().expect("make a pipe for standard error");
        if self.journal {
            command.env("JOURNAL_STREAM", stream_name(&stderr));
        }
        command.stdin(stdin).stdout(Stdio::piped()).stderr(stderr);
        let child = command.spawn();
        let mut child = child.unwrap_or_else(|e| panic!("run {}: {e}", self.program.display()));
        // It has the writing end of the pipe; only when that is gone does the log end.
        drop(command);
        let output = Log::of(child.stdout.take().expect("the daemon's standard output"));
        let log = Log::of(log);
        Daemon::new(Process::child(child), output, log, self.folder, self.socket)
    }
}

/// The device and inode of `stream`, by which journald makes itself known.
fn stream_name(stream: &impl AsFd) -> String {
    let stream = stream.as_fd().try_clone_to_owned().expect("one descriptor more");
    let stream = File::from(stream).metadata().expect("look at a pipe");
    format!("{}:{}", stream.dev(), stream.ino())
}

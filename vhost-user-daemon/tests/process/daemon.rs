// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A daemon's process and the directory in which it leaves its traces.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, PipeReader, PipeWriter, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(20);

/// A directory of its own for each test; relative paths of its daemons begin there.
pub(crate) struct Room(tempfile::TempDir);

impl Room {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Makes a FIFO: whoever opens it for reading waits for somebody to open it for writing.
    pub(crate) fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.path("socket")).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// The daemon's command, to be run in this room.
    pub(crate) fn daemon(&self, args: &[&str]) -> Command {
        self.prepare(Command::new(env!("CARGO_BIN_EXE_null-daemon")), args)
    }

    /// The daemon's command as a shell runs it after `script`, in which `"$@"` is that command.
    pub(crate) fn daemon_in_shell(&self, script: &str, args: &[&str]) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh", env!("CARGO_BIN_EXE_null-daemon")]);
        self.prepare(shell, args)
    }

    /// The daemon's command with `socket` as its descriptor 3 and `variables` (with `$$` for its
    /// process id) in its environment.
    pub(crate) fn daemon_inheriting(
        &self,
        socket: impl Into<OwnedFd>,
        variables: &str,
        args: &[&str],
    ) -> Command {
        let script = format!("{variables} exec \"$@\" 3<&0 </dev/null");
        let mut command = self.daemon_in_shell(&script, args);
        command.stdin(Stdio::from(socket.into()));
        command
    }

    fn prepare(&self, mut command: Command, args: &[&str]) -> Command {
        for variable in ["LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET", "JOURNAL_STREAM"] {
            command.env_remove(variable);
        }
        command.args(args).current_dir(self.0.path());
        command
    }
}

/// A process that was started and is watched by what it says on standard error.
pub(crate) struct Daemon {
    child: Child,
    lines: Receiver<String>,
}

impl Daemon {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (say, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// Starts it with its standard error as it was prepared.
    pub(crate) fn unheard(mut command: Command) -> Self {
        Self { child: command.spawn().unwrap(), lines: mpsc::channel().1 }
    }

    /// Starts it and waits until front ends can connect.
    pub(crate) fn listening(command: Command) -> Self {
        let daemon = Self::start(command);
        daemon.says("Waiting for vhost-user socket connection");
        daemon
    }

    /// Waits for a line that contains `text`.
    pub(crate) fn says(&self, text: &str) -> String {
        let mut before = Vec::new();
        loop {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => before.push(line),
                Err(error) => panic!("no line with {text:?} ({error}), but {before:#?}"),
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What is in its file `name` under /proc.
    pub(crate) fn file(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.pid())).unwrap()
    }

    /// Waits until it blocks `signal`.
    pub(crate) fn wait_until_it_blocks(&self, signal: i32) {
        let start = Instant::now();
        loop {
            let status = self.file("status");
            let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t")).unwrap();
            if u64::from_str_radix(mask, 16).unwrap() >> (signal - 1) & 1 == 1 {
                return;
            }
            assert!(start.elapsed() < DEADLINE, "signal {signal} is not blocked: {mask}");
            thread::yield_now();
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        kill(name, self.pid().to_string());
    }

    /// Waits for the end, which is near: the exit code, if there is one.
    pub(crate) fn code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Waits for the end: the exit code, if there is one, and what was said since.
    pub(crate) fn end(mut self) -> (Option<i32>, Vec<String>) {
        let mut said = Vec::new();
        loop {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) => said.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it goes on, after it said {said:#?}"),
            }
        }
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A test that failed leaves it running; one that succeeded has waited for its end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The one whom a daemon tells of its readiness and its end (sd_notify(3)).
pub(crate) struct Supervisor(UnixDatagram);

impl Supervisor {
    pub(crate) fn at(path: PathBuf) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(socket)
    }

    /// The next that it is told.
    pub(crate) fn hears(&self) -> String {
        let mut text = [0; 64];
        let len = loop {
            match self.0.recv(&mut text) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                received => break received.unwrap(),
            }
        };
        String::from_utf8(text[..len].to_vec()).unwrap()
    }
}

/// A pipe that is full, both ends of it.
pub(crate) fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    // Another opening of it, so that not waiting is not the writer's habit, too.
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let mut filler = File::options().write(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap();
    while filler.write_all(&[b'.'; 4096]).is_ok() {}
    (reader, writer)
}

/// Runs a command that ends by itself.
pub(crate) fn output_of(mut command: Command) -> Ended {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Ended {
        code: status.code(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Ends the daemon whose process id is in the pid file of `room`, and waits for its end.
pub(crate) fn end_by_pid_file(room: &Room) {
    let path = room.path("pid");
    let pid = fs::read_to_string(&path).unwrap();
    let file = File::open(&path).unwrap();
    kill("TERM", pid.trim_end());
    // The lock is its until it ends.
    file.lock().unwrap();
}

pub(crate) fn kill(signal: &str, pid: impl AsRef<OsStr>) {
    let script = format!("kill -{signal} \"$1\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, "sh"]).arg(pid.as_ref());
    assert!(shell.status().unwrap().success());
}

/// The first connection to `listener`.
pub(crate) fn accept(listener: UnixListener) -> UnixStream {
    let (say, accepted) = mpsc::channel();
    thread::spawn(move || say.send(listener.accept().unwrap().0));
    accepted.recv_timeout(DEADLINE).unwrap()
}

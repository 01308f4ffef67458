// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A daemon's process and the directory in which it leaves its traces.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

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

    pub(crate) fn signal(&self, name: &str) {
        kill(name, self.pid().to_string());
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

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The log in syslog, through its Unix socket and no other way.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use log::Level;
use syslog::{Facility, Formatter3164, LoggerBackend};

type Connection = syslog::Logger<LoggerBackend, Formatter3164>;

/// How long a message may wait for a syslog that does not read.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long a syslog that went away is left alone before the next try.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Syslog {
    name: &'static str,
    path: PathBuf,
    state: State,
}

enum State {
    Connected(Connection),
    /// It did not take a message; not to be tried again before then.
    SilentUntil(Instant),
}

impl std::fmt::Debug for Syslog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Syslog").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Syslog {
    /// Connects to the syslog at `path`, to speak as `name`.
    ///
    /// # Errors
    /// Nobody takes messages there.
    pub(super) fn connect(name: &'static str, path: &Path) -> io::Result<Self> {
        let state = State::Connected(open(name, path)?);
        Ok(Self { name, path: path.to_owned(), state })
    }

    /// Whether the last message could not be sent.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self.state, State::SilentUntil(_))
    }

    /// Sends a line. After a restart of syslog the old connection is dead, so there is one attempt
    /// over a new one.
    ///
    /// # Errors
    /// Syslog does not take it, or did not take another one less than a second ago.
    pub(super) fn send(&mut self, level: Level, line: &str) -> io::Result<()> {
        let first = match &mut self.state {
            State::Connected(connection) => emit(connection, level, line),
            State::SilentUntil(time) if Instant::now() < *time => {
                return Err(io::ErrorKind::NotConnected.into());
            }
            State::SilentUntil(_) => Err(io::ErrorKind::NotConnected.into()),
        };
        let sent = match first {
            Ok(()) => return Ok(()),
            // It is there and does not read; a new connection would have to wait as well.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            Err(_) => open(self.name, &self.path).and_then(|mut connection| {
                emit(&mut connection, level, line)?;
                Ok(connection)
            }),
        };
        match sent {
            Ok(connection) => {
                self.state = State::Connected(connection);
                Ok(())
            }
            Err(error) => {
                self.state = State::SilentUntil(Instant::now() + PAUSE);
                Err(error)
            }
        }
    }
}

fn open(name: &str, path: &Path) -> io::Result<Connection> {
    let formatter = Formatter3164 {
        facility: Facility::LOG_DAEMON,
        hostname: None,
        process: name.to_owned(),
        pid: std::process::id(),
    };
    let connection = syslog::unix_custom(formatter, path).map_err(io_error)?;
    match &connection.backend {
        LoggerBackend::Unix(socket) => socket.set_write_timeout(Some(PATIENCE))?,
        LoggerBackend::UnixStream(socket) => socket.get_ref().set_write_timeout(Some(PATIENCE))?,
        _ => {}
    }
    Ok(connection)
}

fn emit(connection: &mut Connection, level: Level, line: &str) -> io::Result<()> {
    // It is another one after the process has gone to the background.
    connection.formatter.pid = std::process::id();
    let sent = match level {
        Level::Error => connection.err(line),
        Level::Warn => connection.warning(line),
        Level::Info => connection.info(line),
        Level::Debug | Level::Trace => connection.debug(line),
    };
    sent.map_err(io_error)
}

/// The cause without the words around it.
fn io_error(error: syslog::Error) -> io::Error {
    match error {
        syslog::Error::Io(error) | syslog::Error::Write(error) => error,
        syslog::Error::Initialization(inner) => match inner.downcast::<syslog::Error>() {
            Ok(inner) => io_error(*inner),
            Err(inner) => io::Error::other(inner),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    /// What a syslog at `socket` gets, without the time stamp.
    fn received(socket: &UnixDatagram) -> String {
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut message = [0; 256];
        let len = socket.recv(&mut message).unwrap();
        let text = str::from_utf8(&message[..len]).unwrap();
        let (priority, rest) = text.split_at(text.find('>').unwrap() + 1);
        let stamp = "Jan 01 00:00:00 ".len();
        format!("{priority}{}", &rest[stamp..])
    }

    #[test]
    fn message_has_facility_daemon_priority_name_and_pid() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("log");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::connect("vhost-user-blk", &path).unwrap();
        let pid = std::process::id();
        for (level, priority) in
            [(Level::Error, 27), (Level::Warn, 28), (Level::Info, 30), (Level::Trace, 31)]
        {
            syslog.send(level, "text").unwrap();
            assert_eq!(received(&socket), format!("<{priority}>vhost-user-blk[{pid}]: text"));
        }
    }

    #[test]
    fn message_after_a_restart_of_syslog_arrives() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("log");
        let before = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::connect("daemon", &path).unwrap();
        drop(before);
        fs::remove_file(&path).unwrap();
        let after = UnixDatagram::bind(&path).unwrap();
        syslog.send(Level::Info, "still here").unwrap();
        assert!(received(&after).ends_with(": still here"));
    }

    #[test]
    fn message_to_a_syslog_that_is_gone_is_an_error_and_the_next_does_not_try() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("log");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::connect("daemon", &path).unwrap();
        assert!(!syslog.is_silent());
        drop(socket);
        let error = syslog.send(Level::Info, "lost").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(syslog.is_silent());
        let error = syslog.send(Level::Info, "lost too").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    }

    #[test]
    fn message_to_a_syslog_that_does_not_read_waits_a_moment_only() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("log");
        let _socket = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::connect("daemon", &path).unwrap();
        let start = Instant::now();
        let error = loop {
            if let Err(error) = syslog.send(Level::Info, "unread") {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(start.elapsed() < Duration::from_secs(5), "waited {:?}", start.elapsed());
    }
}

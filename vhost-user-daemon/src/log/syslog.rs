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
    connection: Option<Connection>,
    /// It did not take the last message; not to be tried again before then.
    silent_until: Option<Instant>,
    /// Whether there is still a way to a syslog that comes after this one.
    may_return: bool,
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
        let connection = Some(open(name, path)?);
        Ok(Self { name, path: path.to_owned(), connection, silent_until: None, may_return: true })
    }

    /// From now on, a syslog that went away is gone for good.
    pub(super) fn expect_no_return(&mut self) {
        self.may_return = false;
    }

    /// Whether it is gone for good.
    pub(super) fn is_gone(&self) -> bool {
        self.connection.is_none() && !self.may_return
    }

    /// Whether the last message could not be sent.
    pub(super) fn is_silent(&self) -> bool {
        self.silent_until.is_some()
    }

    /// Sends a line. After a restart of syslog the old connection is dead, so there is one attempt
    /// over a new one.
    ///
    /// # Errors
    /// Syslog does not take it, or did not take another one less than a second ago.
    pub(super) fn send(&mut self, level: Level, line: &str) -> io::Result<()> {
        if self.silent_until.is_some_and(|time| Instant::now() < time) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let sent = match self.try_send(level, line) {
            Ok(()) => Ok(()),
            // It is there and does not read; a new connection would have to wait as well.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            Err(error) => {
                self.connection = None;
                if self.may_return { self.send_anew(level, line) } else { Err(error) }
            }
        };
        self.silent_until = sent.is_err().then(|| Instant::now() + PAUSE);
        sent
    }

    fn try_send(&mut self, level: Level, line: &str) -> io::Result<()> {
        match &mut self.connection {
            Some(connection) => loop {
                match emit(connection, level, line) {
                    // While it waits for room; syslog has nothing to do with it.
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => break result,
                }
            },
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn send_anew(&mut self, level: Level, line: &str) -> io::Result<()> {
        self.connection = Some(open(self.name, &self.path)?);
        self.try_send(level, line)
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
    fn syslog_that_went_away_is_gone_if_there_is_no_return() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("log");
        let before = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::connect("daemon", &path).unwrap();
        syslog.expect_no_return();
        drop(before);
        fs::remove_file(&path).unwrap();
        let _after = UnixDatagram::bind(&path).unwrap();
        assert!(!syslog.is_gone());
        let error = syslog.send(Level::Info, "lost").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(syslog.is_gone());
    }

    #[test]
    fn syslog_that_reads_again_gets_messages_though_there_is_no_return() {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("log");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::connect("daemon", &path).unwrap();
        syslog.expect_no_return();
        while syslog.send(Level::Info, "unread").is_ok() {}
        assert!(!syslog.is_gone());
        received(&socket);
        syslog.silent_until = Some(Instant::now());
        syslog.send(Level::Info, "read").unwrap();
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

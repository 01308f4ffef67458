// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The log on standard error: for people, or for journald, which wants the priority in front
//! (sd-daemon(3)) and knows the program's name.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use log::Level;

use super::escaped;
use crate::sys::file;

#[derive(Debug)]
pub(super) struct Stderr {
    name: &'static str,
    journal: bool,
}

impl Stderr {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            journal: is_journal(io::stderr(), std::env::var_os("JOURNAL_STREAM").as_deref()),
        }
    }

    pub(super) fn message(&self, level: Level, text: &str) {
        write(&self.message_line(level, text));
    }

    pub(super) fn last_words(&self, text: &str) {
        write(&self.last_line(text));
    }

    fn message_line(&self, level: Level, text: &str) -> String {
        let (priority, word) = match level {
            Level::Error => (3, "error"),
            Level::Warn => (4, "warning"),
            Level::Info => (6, "info"),
            Level::Debug => (7, "debug"),
            Level::Trace => (7, "trace"),
        };
        match self.journal {
            true => format!("<{priority}>{}\n", escaped(text)),
            false => format!("{}: {word}: {}\n", self.name, escaped(text)),
        }
    }

    fn last_line(&self, text: &str) -> String {
        match self.journal {
            true => self.message_line(Level::Error, text),
            false => format!("{}: {}\n", self.name, escaped(text)),
        }
    }
}

/// How long a line waits for whoever reads standard error.
const PATIENCE: Duration = Duration::from_millis(100);

fn write(line: &str) {
    // Locked before it is looked at, so that no other thread takes the room.
    write_to(io::stderr().lock(), line);
}

/// A line that cannot be written is lost: there is nobody left to tell. A reader that has stopped
/// reading must not stop us.
fn write_to(mut stream: impl Write + AsFd, line: &str) {
    // A pipe that has room has it for so much at least; more may have to wait.
    for part in line.as_bytes().chunks(libc::PIPE_BUF) {
        let has_room = file::has_room(stream.as_fd(), PATIENCE).unwrap_or(true);
        if !has_room || stream.write_all(part).is_err() {
            return;
        }
    }
}

/// Whether journald reads `stream`: then it is the one whose device and inode JOURNAL_STREAM has
/// as `device:inode`.
fn is_journal(stream: impl AsFd, variable: Option<&OsStr>) -> bool {
    let Some(variable) = variable else {
        return false;
    };
    let metadata = stream
        .as_fd()
        .try_clone_to_owned()
        .and_then(|descriptor| File::from(descriptor).metadata());
    metadata.is_ok_and(|metadata| {
        variable == OsStr::new(&format!("{}:{}", metadata.dev(), metadata.ino()))
    })
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter, Read};
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::OpenOptionsExt;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    const PLAIN: Stderr = Stderr { name: "vhost-user-blk", journal: false };
    const JOURNAL: Stderr = Stderr { name: "vhost-user-blk", journal: true };

    #[test]
    fn line_for_people_has_name_and_level() {
        assert_eq!(PLAIN.message_line(Level::Warn, "odd"), "vhost-user-blk: warning: odd\n");
        assert_eq!(PLAIN.message_line(Level::Info, "new"), "vhost-user-blk: info: new\n");
    }

    #[test]
    fn line_for_the_journal_has_the_syslog_priority() {
        let priorities = [
            (Level::Error, "<3>text\n"),
            (Level::Warn, "<4>text\n"),
            (Level::Info, "<6>text\n"),
            (Level::Debug, "<7>text\n"),
            (Level::Trace, "<7>text\n"),
        ];
        for (level, line) in priorities {
            assert_eq!(JOURNAL.message_line(level, "text"), line);
        }
    }

    #[test]
    fn line_of_a_text_with_a_newline_stays_one_line() {
        assert_eq!(JOURNAL.message_line(Level::Info, "a\n<0>b"), "<6>a\\n<0>b\n");
    }

    #[test]
    fn last_line_is_the_chain_after_the_name() {
        assert_eq!(PLAIN.last_line("a: b: c"), "vhost-user-blk: a: b: c\n");
        assert_eq!(JOURNAL.last_line("a: b: c"), "<3>a: b: c\n");
    }

    /// A pipe that is full.
    fn full_pipe() -> (PipeReader, PipeWriter) {
        let (reader, writer) = io::pipe().unwrap();
        // Another opening of it, so that not waiting is not the writer's habit, too.
        let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
        let mut filler =
            File::options().write(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap();
        let page = [b'.'; libc::PIPE_BUF];
        while filler.write_all(&page).is_ok() {}
        (reader, writer)
    }

    /// Writes the line on a thread of its own; whether that ends soon.
    fn ends_soon(writer: PipeWriter, line: String) -> bool {
        let (say, ended) = mpsc::channel();
        thread::spawn(move || {
            write_to(writer, &line);
            say.send(()).unwrap();
        });
        ended.recv_timeout(Duration::from_secs(10)).is_ok()
    }

    #[test]
    fn line_that_nobody_reads_is_lost_after_a_moment() {
        let (_reader, writer) = full_pipe();
        assert!(ends_soon(writer, "lost\n".to_owned()));
    }

    #[test]
    fn line_that_is_longer_than_the_room_left_does_not_wait_for_more() {
        let (mut reader, writer) = full_pipe();
        reader.read_exact(&mut [0; libc::PIPE_BUF]).unwrap();
        assert!(ends_soon(writer, "x".repeat(3 * libc::PIPE_BUF)));
    }

    #[test]
    fn line_of_many_pages_is_written_whole_for_one_who_reads() {
        let (mut reader, writer) = io::pipe().unwrap();
        let line = "0123456789".repeat(20_000);
        let (expected, mut read) = (line.clone(), String::new());
        thread::scope(|scope| {
            scope.spawn(|| reader.read_to_string(&mut read).unwrap());
            assert!(ends_soon(writer, line));
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn stream_that_the_variable_names_is_the_journal() {
        let file = tempfile::tempfile().unwrap();
        let metadata = file.metadata().unwrap();
        let named = format!("{}:{}", metadata.dev(), metadata.ino());
        assert!(is_journal(&file, Some(OsStr::new(&named))));
    }

    #[test]
    fn stream_that_the_variable_does_not_name_is_not_the_journal() {
        let file = tempfile::tempfile().unwrap();
        let metadata = file.metadata().unwrap();
        let other = format!("{}:{}", metadata.dev(), metadata.ino() + 1);
        assert!(!is_journal(&file, Some(OsStr::new(&other))));
        assert!(!is_journal(&file, Some(OsStr::new("garbage"))));
        assert!(!is_journal(&file, None));
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a daemon says on standard error, line by line, while it runs.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use crate::deadline::Deadline;

/// The lines that have come so far.
#[derive(Clone, Debug)]
pub struct Log(Arc<Lines>);

#[derive(Debug, Default)]
struct Lines {
    collected: Mutex<Collected>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Collected {
    lines: Vec<String>,
    ended: bool,
}

impl Log {
    /// Collects the lines of `stream` on a thread of its own, until it ends.
    pub(super) fn of(stream: impl Read + Send + 'static) -> Self {
        let log = Self(Arc::default());
        let writer = log.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                writer.read().lines.push(String::from_utf8_lossy(&line).into_owned());
                writer.0.more.notify_all();
            }
            writer.read().ended = true;
            writer.0.more.notify_all();
        });
        log
    }

    /// Waits for a line that contains `text`, also among those that have come; `false` when the
    /// time is over or the log ends without it.
    pub fn has(&self, text: &str) -> bool {
        let deadline = Deadline::new();
        let mut read = self.read();
        loop {
            if read.lines.iter().any(|line| line.contains(text)) {
                return true;
            }
            if read.ended || deadline.is_over() {
                return false;
            }
            let waited = self.0.more.wait_timeout(read, deadline.left());
            read = waited.expect("the lines of the log").0;
        }
    }

    /// How many lines that contain `text` have come so far.
    pub fn count(&self, text: &str) -> usize {
        self.read().lines.iter().filter(|line| line.contains(text)).count()
    }

    /// All that has come so far.
    pub fn text(&self) -> String {
        self.read().lines.join("\n")
    }

    /// All there is, once the daemon has ended.
    pub fn whole(&self) -> String {
        let deadline = Deadline::new();
        let mut read = self.read();
        while !read.ended && !deadline.is_over() {
            let waited = self.0.more.wait_timeout(read, deadline.left());
            read = waited.expect("the lines of the log").0;
        }
        read.lines.join("\n")
    }

    fn read(&self) -> MutexGuard<'_, Collected> {
        self.0.collected.lock().expect("the lines of the log")
    }
}

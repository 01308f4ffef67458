// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A guest's serial console: all that it ever printed, and a line to type on.

use std::fmt;
use std::io::{self, PipeReader, Read, Write};
use std::process::ChildStdin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// What becomes of a console's output while the guest runs. It is recorded in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Recorded only.
    Record,
    /// Copied to stdout as it comes.
    Live,
}

/// The end of what was recorded, for a report.
const REPORTED: usize = 16 << 10;

pub(super) struct Console {
    pub(super) record: Arc<Record>,
    input: ChildStdin,
}

/// Why waiting for output ended without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    Closed,
    Deadline,
}

/// All that was printed so far; it may outlive its console.
#[derive(Default)]
pub(super) struct Record {
    printed: Mutex<Printed>,
    more: Condvar,
}

#[derive(Default)]
struct Printed {
    bytes: Vec<u8>,
    closed: bool,
}

impl Console {
    /// Records from `output` until its end, on a thread of its own.
    pub(super) fn start(output: PipeReader, input: ChildStdin, watch: Watch) -> Self {
        let record = Arc::new(Record::default());
        let theirs = Arc::clone(&record);
        thread::spawn(move || theirs.fill_from(output, watch));
        Self { record, input }
    }

    pub(super) fn type_line(&mut self, line: &str) -> io::Result<()> {
        self.input.write_all(format!("{line}\n").as_bytes())?;
        self.input.flush()
    }

    /// How many bytes were printed so far.
    pub(super) fn len(&self) -> usize {
        self.record.lock().bytes.len()
    }

    /// Waits until `found` finds something in what was printed after the first `from` bytes.
    pub(super) fn wait<T>(
        &self,
        from: usize,
        deadline: Instant,
        found: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, Missed> {
        let mut printed = self.record.lock();
        loop {
            if let Some(found) = found(printed.bytes.get(from..).unwrap_or_default()) {
                return Ok(found);
            }
            if printed.closed {
                return Err(Missed::Closed);
            }
            printed = self.record.wait_for_more(printed, deadline).ok_or(Missed::Deadline)?;
        }
    }

    /// What was printed, at most its last 16 KiB.
    pub(super) fn transcript(&self) -> String {
        let printed = self.record.lock();
        let start = printed.bytes.len().saturating_sub(REPORTED);
        text(&printed.bytes[start..])
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("printed", &self.len()).finish_non_exhaustive()
    }
}

impl Record {
    /// Waits for the end of the output.
    pub(super) fn wait_closed(&self, deadline: Instant) -> Result<(), Missed> {
        let mut printed = self.lock();
        while !printed.closed {
            printed = self.wait_for_more(printed, deadline).ok_or(Missed::Deadline)?;
        }
        Ok(())
    }

    fn fill_from(&self, mut output: PipeReader, watch: Watch) {
        let mut chunk = [0; 4096];
        // A guest that is killed may leave an error instead of an end of file.
        while let Ok(len @ 1..) = output.read(&mut chunk) {
            if watch == Watch::Live {
                let mut stdout = io::stdout().lock();
                // The guest goes on although nobody may be looking any more.
                let _ = stdout.write_all(&chunk[..len]).and_then(|()| stdout.flush());
            }
            self.lock().bytes.extend_from_slice(&chunk[..len]);
            self.more.notify_all();
        }
        self.lock().closed = true;
        self.more.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Printed> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_more<'r>(
        &self,
        printed: MutexGuard<'r, Printed>,
        deadline: Instant,
    ) -> Option<MutexGuard<'r, Printed>> {
        let left = deadline.checked_duration_since(Instant::now())?;
        let waited = self.more.wait_timeout(printed, left);
        Some(waited.unwrap_or_else(PoisonError::into_inner).0)
    }
}

/// A terminal's output as text: its line ends are CR LF.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", "\n")
}

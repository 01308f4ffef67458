// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A daemon that runs for as long as it is measured.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::contestant::{SOCKET, typed};
use crate::command;

/// How long it may take until it listens, and until it has ended.
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon that listens. It ends with the value.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    folder: PathBuf,
}

impl Daemon {
    /// Starts it in `folder`, and waits until its socket is there.
    ///
    /// # Errors
    /// It can't be started or ends at once; with what it said about that.
    pub(super) fn start(mut command: Command, folder: &Path) -> Result<Self> {
        remove_socket(folder);
        let said = folder.join("daemon.log");
        let log = File::create(&said).with_context(|| format!("make {}", said.display()))?;
        let also = log.try_clone().context("another descriptor of the log")?;
        command.current_dir(folder).stdin(Stdio::null()).stdout(log).stderr(also);
        let what = typed(&command);
        let child = command.spawn().with_context(|| format!("start {what}"))?;
        let mut daemon = Self { child, folder: folder.to_owned() };
        let begin = Instant::now();
        while !folder.join(SOCKET).exists() {
            if let Some(status) = daemon.child.try_wait().context("wait for the daemon")? {
                let said = fs::read_to_string(&said).unwrap_or_default();
                bail!("{what}: {status}: {}", said.trim());
            }
            if begin.elapsed() > PATIENCE {
                bail!("{what} does not listen");
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(daemon)
    }

    /// Its number.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Daemon {
    /// Whether it has ended by the deadline.
    fn has_ended(&mut self, deadline: Instant) -> bool {
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// Ends it as a service manager would; the standard library only kills.
    fn end(&mut self) {
        if self.has_ended(Instant::now()) {
            return;
        }
        let pid = self.child.id().to_string();
        let asked = command::run(Command::new("kill").args(["-TERM", &pid]), PATIENCE);
        if asked.is_err() || !self.has_ended(Instant::now() + PATIENCE) {
            // It may have ended just now; then there is nothing to kill, and still one to wait for.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
        remove_socket(&self.folder);
    }
}

/// A daemon that was killed leaves its socket behind.
fn remove_socket(folder: &Path) {
    let _ = fs::remove_file(folder.join(SOCKET));
}

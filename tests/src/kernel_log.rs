// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the kernel says, from a moment on.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::requires;

/// The messages of the kernel since the value was made.
#[derive(Debug)]
pub struct KernelLog(File);

impl KernelLog {
    /// Begins to listen. `None` if what is audited can't be heard, which is said on standard error.
    ///
    /// # Panics
    /// If it can't be had where nothing may be missing: when the environment has `CI`.
    pub fn with_audit() -> Option<Self> {
        let mut options = File::options();
        let log = options.read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg");
        let log = log.and_then(|mut log| log.seek(SeekFrom::End(0)).map(|_| log));
        // A daemon for it takes the messages away, and /proc/self/loginuid is there with audit only.
        let audited = std::fs::exists("/proc/self/loginuid").is_ok_and(|is_there| is_there)
            && !std::fs::exists("/run/auditd.pid").is_ok_and(|is_there| is_there);
        requires::met(
            log.is_ok() && audited,
            "to read the kernel's log, with what is audited in it",
        )
        .then(|| log.ok().map(Self))?
    }

    /// Whether a message with all these texts in it comes within `patience`. The kernel leaves some
    /// out when there are many.
    pub fn hears_of(&mut self, texts: &[&str], patience: Duration) -> bool {
        let deadline = Deadline::after(patience);
        while deadline.readable(&self.0) {
            // Each read gives one message.
            let mut message = [0; 8192];
            let message = match self.0.read(&mut message) {
                Ok(len) => String::from_utf8_lossy(&message[..len]).into_owned(),
                // Some were lost because others came too fast.
                Err(e) if e.kind() == ErrorKind::BrokenPipe => continue,
                Err(e) => panic!("read the kernel's log: {e}"),
            };
            if texts.iter().all(|text| message.contains(text)) {
                return true;
            }
        }
        false
    }
}

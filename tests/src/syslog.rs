// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A syslog of the test's own at /dev/log, which nobody else sees.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

use crate::deadline::Deadline;
use crate::private_mounts::Devices;

/// Where programs look for it.
const PLACE: &str = "/dev/log";

/// It is there for the calling thread, and for what that starts from now on.
#[derive(Debug)]
pub struct Syslog {
    socket: Option<UnixDatagram>,
    /// In which it has its place.
    _devices: Devices,
}

impl Syslog {
    /// Begins to listen. `None` if it can't be had, which is said on standard error.
    ///
    /// # Panics
    /// If it can't be had where nothing may be missing: when the environment has `CI`.
    pub fn start() -> Option<Self> {
        let devices = Devices::without("log")?;
        let mut syslog = Self { socket: None, _devices: devices };
        syslog.begin();
        Some(syslog)
    }

    /// Ends, so that those who are connected are connected to nobody.
    pub fn stop(&mut self) {
        self.socket = None;
        fs::remove_file(PLACE).expect("remove the socket of syslog");
    }

    /// Listens again at the same place, after it was stopped.
    pub fn begin(&mut self) {
        let socket = UnixDatagram::bind(PLACE).expect("bind the socket of syslog");
        socket.set_nonblocking(true).expect("make a socket non-blocking");
        let anybody = fs::Permissions::from_mode(0o666);
        fs::set_permissions(PLACE, anybody).expect("let any user speak to syslog");
        self.socket = Some(socket);
    }

    /// Ends, and listens again at once.
    pub fn restart(&mut self) {
        self.stop();
        self.begin();
    }

    /// The next message: its priority, such as `<30>`, and what follows the time.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn hears(&self) -> String {
        let socket = self.socket.as_ref().expect("a syslog that listens");
        assert!(Deadline::new().readable(socket), "nothing is said to syslog");
        self.heard().expect("a message to syslog")
    }

    /// A message that has come by now.
    pub fn heard(&self) -> Option<String> {
        let mut message = [0; 4096];
        let len = self.socket.as_ref()?.recv(&mut message).ok()?;
        let text = str::from_utf8(&message[..len]).expect("a message in UTF-8");
        let (priority, rest) = text.split_at(text.find('>').expect("a priority") + 1);
        let rest = rest.get("Jan 01 00:00:00 ".len()..).expect("a time in a message");
        Some(format!("{priority}{rest}"))
    }

    /// Waits for a message that contains `text`, and returns what follows the time in it.
    #[track_caller]
    pub fn hears_of(&self, text: &str) -> String {
        loop {
            let message = self.hears();
            if message.contains(text) {
                return message;
            }
        }
    }
}

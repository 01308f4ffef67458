// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! How one daemon's process lives otherwise than another's, beyond what the common options say.

use std::path::PathBuf;

use caps::Capability;

use crate::id_range::IdRange;

/// The habits of a daemon's process. The default is that of a device that stays when a front end leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether the next front end is waited for when one has left. If not, the process ends with 0.
    pub keep_listening: bool,
    /// Whether the pid is in a locked file beside the socket as well: its path and `.pid`.
    pub pid_beside_socket: bool,
    /// What becomes of the limit on open descriptors.
    pub open_files: OpenFiles,
    /// Whether standard error does for a syslog that is not there.
    pub syslog_may_lack: bool,
    /// What the log says when a front end has connected.
    pub greeting: &'static str,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            keep_listening: true,
            pid_beside_socket: false,
            open_files: OpenFiles::AsManyAsAllowed,
            syslog_may_lack: false,
            greeting: "front end connected",
        }
    }
}

/// What becomes of the limit on open descriptors (RLIMIT_NOFILE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenFiles {
    /// As far up as it may go without privileges.
    AsManyAsAllowed,
    /// It stays.
    Unchanged,
    /// Exactly so many, or no start.
    Exactly(u64),
    /// Up to so many, if the kernel has so many, else as far up as it may go.
    UpTo(u64),
}

/// A directory or a file of the host that stays within reach when the process is in its sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The directory, or the regular file.
    pub path: PathBuf,
    /// How many virtqueues the device will have.
    pub queues: u16,
    /// What the process keeps of what it may, to serve the share.
    pub capabilities: Vec<Capability>,
    /// The users that there are in the user namespace of a process that is not root's; none: its own.
    pub users: Vec<IdRange>,
    /// The same for groups.
    pub groups: Vec<IdRange>,
    /// Whether landlock can be used: what is opened by handle would be refused by it.
    pub landlock: bool,
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What most tests of a shared file system begin with: a folder, a daemon that shares it, and one who
//! asks for what is in it.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::bridge::Bridge;
use super::client::FsClient;
use super::sys;
use crate::daemon::{Daemon, Launch};
use crate::features::{EVENT_IDX, INDIRECT_DESC, VERSION_1};
use crate::frontend::Frontend;
use crate::guest::setup;
use crate::requires;

/// The features that a Linux guest acks of a file system device.
pub const USUAL: u64 = VERSION_1 | INDIRECT_DESC | EVENT_IDX;

/// A folder that is shared, and a client of it.
#[derive(Debug)]
pub struct Shared {
    /// The device's queues: a high-priority one and one for requests.
    pub fs: FsClient,
    /// The front end.
    pub frontend: Frontend,
    /// The daemon.
    pub daemon: Daemon,
    /// What is shared.
    pub folder: TempDir,
}

impl Shared {
    /// An empty folder, with INIT said.
    #[track_caller]
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// The same, with more arguments for the daemon.
    #[track_caller]
    pub fn with(arguments: &[&str]) -> Self {
        let folder = new_folder();
        let launch = Daemon::fs().share(folder.path()).args(arguments);
        Self::of(launch, folder)
    }

    /// What `launch` shares, which is `folder` or in it, with INIT said.
    #[track_caller]
    pub fn of(launch: Launch, folder: TempDir) -> Self {
        let mut shared = Self::silent(launch, folder);
        shared.fs.init();
        shared
    }

    /// The same without INIT.
    #[track_caller]
    pub fn silent(launch: Launch, folder: TempDir) -> Self {
        let daemon = launch.start();
        let mut frontend = Frontend::connect(&daemon).negotiate(USUAL);
        let fs = FsClient::start(&mut frontend, 1);
        Self { fs, frontend, daemon, folder }
    }

    /// The path of `name` in the folder, on the host.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}

/// A folder that is shared, and mounted at another place for the calling thread and what that starts
/// from then on.
#[derive(Debug)]
pub struct Mounted {
    /// It ends before the daemon.
    pub bridge: Bridge,
    /// The daemon.
    pub daemon: Daemon,
    /// What is shared.
    pub folder: TempDir,
}

impl Mounted {
    /// An empty folder, shared with these arguments. `None` if it can't be had, which is said on
    /// standard error.
    ///
    /// # Panics
    /// If it can't be had where nothing may be missing: when the environment has `CI`.
    #[track_caller]
    pub fn with(arguments: &[&str]) -> Option<Self> {
        let folder = new_folder();
        let launch = Daemon::fs().share(folder.path()).args(arguments);
        Self::of(launch, folder, 1)
    }

    /// What `launch` shares, which is `folder` or in it, by way of `queues` request queues.
    ///
    /// # Panics
    /// As [`Mounted::with`].
    #[track_caller]
    pub fn of(launch: Launch, folder: TempDir, queues: u8) -> Option<Self> {
        if !Bridge::can_be() {
            return None;
        }
        // Before there is a mount that it would hold.
        let daemon = launch.start();
        let bridge = Bridge::mount(daemon.socket(), queues);
        Some(Self { bridge, daemon, folder })
    }

    /// Where the kernel has it mounted.
    pub fn path(&self) -> &Path {
        self.bridge.path()
    }
}

/// A new folder that any user may use, and only its owner may list others' files of.
pub fn new_folder() -> TempDir {
    let folder = TempDir::with_prefix("share-").expect("make a folder to be shared");
    let any = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), any).expect("let any user use the folder");
    folder
}

/// Swaps what is at two paths, in one step.
///
/// # Panics
/// When it can't.
#[track_caller]
pub fn exchange(one: &Path, other: &Path) {
    let path = |path: &Path| CString::new(path.as_os_str().as_bytes()).expect("a path without NUL");
    sys::exchange(&path(one), &path(other)).expect("swap what is at two paths");
}

/// Whether the tool `program`, which `tests/setup` installs, is there; if it isn't, says so.
///
/// # Panics
/// If it is missing where nothing may be: when the environment has `CI`.
pub fn tool(program: &str) -> Option<PathBuf> {
    let place = setup::dir().join("tools/bin").join(program);
    requires::met(place.is_file(), &format!("the program {program}")).then_some(place)
}

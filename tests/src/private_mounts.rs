// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! File systems that only one test sees, and the processes that it starts.

use std::cell::Cell;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::requires::{self, LoopDevice};
use crate::sys;

thread_local! {
    static HAS_ITS_OWN: Cell<bool> = const { Cell::new(false) };
}

/// Lets the calling thread mount what nobody else sees; `None` if it can't, which is said on
/// standard error.
pub(crate) fn own_mounts() -> Option<()> {
    if !HAS_ITS_OWN.get() {
        let own = requires::root() && {
            let own = sys::own_mounts();
            requires::met(own.is_ok(), "mounts of its own")
        };
        HAS_ITS_OWN.set(own);
    }
    HAS_ITS_OWN.get().then_some(())
}

/// A file system that is mounted for the calling thread, and for what that starts from then on.
#[derive(Debug)]
pub struct PrivateMount {
    folder: TempDir,
    /// It goes after what is mounted from it.
    _device: Option<LoopDevice>,
}

impl PrivateMount {
    /// One in memory with room for `len` bytes. `None` if it can't be had, which is said on
    /// standard error.
    ///
    /// # Panics
    /// If it can't be had where nothing may be missing: when the environment has `CI`.
    pub fn tmpfs(len: u64) -> Option<Self> {
        Self::tmpfs_in(&std::env::temp_dir(), len)
    }

    /// The same, with its mount point in the folder `parent`.
    ///
    /// # Panics
    /// As [`PrivateMount::tmpfs`].
    pub fn tmpfs_in(parent: &Path, len: u64) -> Option<Self> {
        own_mounts()?;
        let folder = TempDir::with_prefix_in("mount-", parent).expect("make a mount point");
        let options = CString::new(format!("size={len}")).expect("the options of a mount");
        let mounted = sys::mount(c"test", &c_path(folder.path()), c"tmpfs", &options);
        mounted.expect("mount a file system in memory");
        Some(Self { folder, _device: None })
    }

    /// The file system of the type `kind` that is on `device`.
    ///
    /// # Panics
    /// If it can't be mounted.
    pub fn of_device(device: LoopDevice, kind: &str) -> Option<Self> {
        own_mounts()?;
        let folder = TempDir::with_prefix("mount-").expect("make a mount point");
        let kind = CString::new(kind).expect("the type of a file system");
        let mounted = sys::mount(&c_path(device.path()), &c_path(folder.path()), &kind, c"");
        mounted.expect("mount the file system of a block device");
        Some(Self { folder, _device: Some(device) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for PrivateMount {
    fn drop(&mut self) {
        // What is left of it goes with this thread at the latest.
        let _ = sys::unmount(&c_path(self.folder.path()));
    }
}

/// /dev as only the calling thread sees it, and what that starts from then on: the machine's devices,
/// and room for files of a test's own.
#[derive(Debug)]
pub(crate) struct Devices {
    /// Where the machine's own are. It is never removed with what is in it.
    machine: PathBuf,
}

impl Devices {
    /// All but the one of the name `left_out`. `None` if it can't be had, which is said on standard
    /// error.
    ///
    /// # Panics
    /// If it can't be had where nothing may be missing: when the environment has `CI`.
    pub(crate) fn without(left_out: &str) -> Option<Self> {
        own_mounts()?;
        let machine = TempDir::with_prefix("devices-").expect("make a mount point").keep();
        sys::bind(c"/dev", &c_path(&machine)).expect("mount the devices at another place");
        let mounted = sys::mount(c"test", c"/dev", c"tmpfs", c"mode=755");
        let devices = Self { machine };
        mounted.expect("mount a file system in memory");
        for device in fs::read_dir(&devices.machine).expect("list the devices") {
            let name = device.expect("list the devices").file_name();
            if name != left_out {
                let linked = symlink(devices.machine.join(&name), Path::new("/dev").join(name));
                linked.expect("link a device");
            }
        }
        Some(devices)
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        // What is left of it goes with this thread at the latest.
        let _ = sys::unmount(c"/dev");
        let _ = sys::unmount(&c_path(&self.machine));
        let _ = fs::remove_dir(&self.machine);
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("a path without a zero byte")
}

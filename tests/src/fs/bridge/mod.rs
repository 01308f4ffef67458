// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! This machine's kernel as the client of a daemon's file system.
//!
//! The kernel takes a file system in user space (`/dev/fuse`) for what a guest's takes a virtio
//! device: the requests are the same. What it asks is read straight into memory that the daemon
//! shares, put on a request queue, and the reply written back from there. FORGET goes on the
//! high-priority queue, as a guest's driver has it; INTERRUPT, which that never sends, goes nowhere.
//!
//! Each request queue has a thread that reads and one that writes, and `lane::SLOTS` requests in
//! flight, so that a slow one holds up no other. Nobody waits without sleeping.

mod init;
mod lane;
mod lanes;

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use tempfile::TempDir;

use super::{share, sys};
use crate::frontend::Frontend;
use crate::private_mounts::own_mounts;
use crate::requires;

use lanes::Lanes;

/// A mount, for the calling thread and whatever that starts from now on. It goes with the value.
#[derive(Debug)]
pub struct Bridge {
    place: PathBuf,
    _folder: Option<TempDir>,
    lanes: Arc<Lanes>,
    threads: Vec<thread::JoinHandle<()>>,
    _frontend: Frontend,
}

impl Bridge {
    /// Whether there can be one here; if not, says so on standard error. From then on the calling
    /// thread has mounts of its own.
    ///
    /// # Panics
    /// If there can be none where nothing may be missing: when the environment has `CI`.
    pub fn can_be() -> bool {
        requires::root()
            && requires::met(open_device().is_ok(), "to open /dev/fuse")
            && own_mounts().is_some()
    }

    /// Mounts what the daemon on `socket` shares, by way of `queues` request queues.
    ///
    /// # Panics
    /// When the daemon refuses something, or what it replies to INIT cannot be.
    #[track_caller]
    pub fn mount(socket: &Path, queues: u8) -> Self {
        let folder = TempDir::with_prefix("bridge-").expect("make a mount point");
        let mut bridge = Self::mount_at(socket, queues, folder.path());
        bridge._folder = Some(folder);
        bridge
    }

    /// The same, over the folder `place`.
    ///
    /// # Panics
    /// As [`Bridge::mount`].
    #[track_caller]
    pub fn mount_at(socket: &Path, queues: u8, place: &Path) -> Self {
        let mut frontend = Frontend::connect(socket).negotiate(share::USUAL);
        let lanes = Arc::new(Lanes::start(&mut frontend, queues));
        let device = Arc::new(open_device().expect("open /dev/fuse"));
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other",
            device.as_raw_fd()
        );
        let options = CString::new(options).expect("the options of a mount");
        sys::mount_fuse(&c_path(place), &options).expect("mount a file system in user space");
        let socket = frontend.socket().try_clone().expect("one more descriptor of the socket");
        let threads = Lanes::run(&lanes, &device, socket);
        // Those threads alone have it from here on: when they end, it does.
        drop(device);
        let bridge =
            Self { place: place.to_owned(), _folder: None, lanes, threads, _frontend: frontend };
        let root = place.metadata();
        let faults = bridge.lanes.faults();
        assert!(root.is_ok(), "look at the mount: {root:?}; {faults:?}");
        bridge
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.place
    }

    /// What the daemon did wrong so far, a sentence each.
    pub fn faults(&self) -> Vec<String> {
        self.lanes.faults()
    }

    /// What INIT agreed on, as it was told to the kernel.
    pub fn agreed(&self) -> u64 {
        self.lanes.agreed()
    }

    /// How many requests went on each queue so far, the high-priority one first.
    pub fn counts(&self) -> Vec<u64> {
        self.lanes.counts()
    }

    /// Unmounts, when what was written has gone out to the daemon.
    ///
    /// # Errors
    /// Somebody uses it.
    ///
    /// # Panics
    /// When the daemon did something wrong meanwhile.
    #[track_caller]
    pub fn unmount(mut self) -> io::Result<()> {
        sys::unmount(&c_path(&self.place))?;
        self.end();
        Ok(())
    }

    fn end(&mut self) {
        self.lanes.stop();
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
        let faults = self.lanes.faults();
        assert!(thread::panicking() || faults.is_empty(), "faults of the daemon: {faults:#?}");
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        let place = c_path(&self.place);
        // One who fails has no use for what was written and may never go out.
        let gone = !thread::panicking() && sys::unmount(&place).is_ok();
        if !gone {
            // What is left of it goes with this thread at the latest.
            let _ = crate::sys::unmount(&place);
        }
        self.end();
    }
}

fn open_device() -> io::Result<File> {
    File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/fuse")
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("a path without a zero byte")
}

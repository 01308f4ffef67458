// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A file of the tests' own that fails when it is told to: a FUSE file system of one file, which
//! this process answers for.
//!
//! What the kernel asks of the file is recorded in its order. Answers can be held back until they
//! are released, and be errors instead. Nobody but the test and the processes that it starts from
//! then on can see the file, and it goes with them.
//!
//! ```no_run
//! use vhost_user_tests::fuse::{FuseFile, Op};
//! use vhost_user_tests::prelude::*;
//!
//! let Some(file) = FuseFile::of(vec![0; 64 * SECTOR]) else { return };
//! let daemon = Daemon::blk().arg("--blk-file").arg(file.path()).start();
//! let mut frontend = Frontend::connect(&daemon).negotiate(USUAL);
//! let mut disk = frontend.blk(0, 16);
//! file.fail_next(Op::Write, libc::EIO);
//! assert_eq!(disk.write(0, &[1; SECTOR]), Err(Status::IoErr));
//! ```

mod serve;
mod wire;

use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempPath;

use crate::bytes::Bytes;
use crate::private_mounts::own_mounts;
use crate::requires;
use crate::sys;

pub use serve::{Event, Manner};
pub use wire::{Call, Op};

use serve::{Failure, Loop, Server};

/// The file. It vanishes when the value is dropped.
#[derive(Debug)]
pub struct FuseFile {
    server: Arc<Server>,
    answering: Loop,
    /// Mounted over a file, which is easier to have than a folder with a file in it.
    place: TempPath,
}

impl FuseFile {
    /// A file of `bytes`, which reads and writes go straight to. `None` if it cannot be had, which
    /// is said on standard error.
    ///
    /// # Panics
    /// If it cannot be had where nothing may be missing: when the environment has `CI`.
    pub fn of(bytes: impl Into<Vec<u8>>) -> Option<Self> {
        Self::with(bytes, Manner::default())
    }

    /// The same, in another manner.
    ///
    /// # Panics
    /// As [`FuseFile::of`].
    pub fn with(bytes: impl Into<Vec<u8>>, manner: Manner) -> Option<Self> {
        let mut options = File::options();
        let device = options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
        let device = device.open("/dev/fuse");
        let can = requires::root() && requires::met(device.is_ok(), "to open /dev/fuse");
        let device = device.ok().filter(|_| can)?;
        own_mounts()?;
        let place = tempfile::NamedTempFile::with_prefix("fuse-").expect("make a mount point");
        let place = place.into_temp_path();
        let fd = device.as_raw_fd();
        let options = format!("fd={fd},rootmode=100000,user_id=0,group_id=0,allow_other");
        let options = CString::new(options).expect("the options of a mount");
        let mounted = sys::mount(c"test", &c_path(&place), c"fuse", &options);
        mounted.expect("mount a file system in user space");
        let bytes = bytes.into();
        let len = u64::try_from(bytes.len()).expect("a length in 64 bits");
        let (server, answering) = Server::start(device, bytes, manner);
        let file = Self { server, answering, place };
        if manner.writeback {
            // The kernel knows the length better than we do, so it has to know it.
            let opened = File::options().write(true).open(file.path());
            opened.and_then(|opened| opened.set_len(len)).expect("tell the kernel the length");
            file.server.state().events.clear();
        }
        Some(file)
    }

    /// Where it is, for the calling thread and whatever that starts from now on.
    pub fn path(&self) -> &Path {
        &self.place
    }

    /// What it has in it now.
    pub fn bytes(&self) -> Bytes {
        self.server.state().bytes.clone().into()
    }

    /// What came and what was answered so far.
    pub fn events(&self) -> Vec<Event> {
        self.server.state().events.clone()
    }

    /// How many requests of this kind came so far.
    pub fn count(&self, op: Op) -> usize {
        count(&self.server.state().events, op)
    }

    /// Waits until so many requests of this kind have come, from the beginning on.
    #[track_caller]
    pub fn wait_for(&self, op: Op, number: usize) {
        let what = format!("{number} times {op:?}");
        self.server.until(&what, |state| (count(&state.events, op) >= number).then_some(()));
    }

    /// Holds the answers to requests of this kind back, until they are released.
    pub fn hold(&self, op: Op) {
        self.server.state().held.insert(op);
    }

    /// Answers what was held back, and what comes from now on.
    pub fn release(&self, op: Op) {
        self.server.state().held.remove(&op);
        self.server.answer_those_held(op);
    }

    /// Answers what was held back, and goes on holding back what comes.
    pub fn release_those_held(&self, op: Op) {
        self.server.answer_those_held(op);
    }

    /// Answers the next request of this kind with `errno`.
    pub fn fail_next(&self, op: Op, errno: i32) {
        self.server.state().failures.push(Failure { op, errno, once: true });
    }

    /// Answers all requests of this kind with `errno` from now on.
    pub fn fail_all(&self, op: Op, errno: i32) {
        self.server.state().failures.push(Failure { op, errno, once: false });
    }

    /// Answers with the truth again.
    pub fn mend(&self) {
        self.server.state().failures.clear();
    }

    /// Gives it another length behind the kernel's back.
    pub fn set_len(&self, len: usize) {
        self.server.state().bytes.resize(len, 0);
    }

    /// Ends the connection to the kernel: every request fails, those in flight, too.
    pub fn vanish(&mut self) {
        self.answering.end();
    }
}

impl Drop for FuseFile {
    fn drop(&mut self) {
        self.vanish();
        // What is left of it goes with this thread at the latest.
        let _ = sys::unmount(&c_path(&self.place));
    }
}

fn count(events: &[Event], op: Op) -> usize {
    events
        .iter()
        .filter(|event| matches!(event, Event::Came(call) if call.op() == Some(op)))
        .count()
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("a path without a zero byte")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::FileExt;

    use super::*;

    fn open(file: &FuseFile) -> File {
        File::options().read(true).write(true).open(file.path()).expect("open the file")
    }

    #[test]
    fn file_is_read_and_written_and_all_of_it_recorded() {
        let Some(file) = FuseFile::of(*b"abcdef") else { return };
        let opened = open(&file);
        let mut bytes = [0; 3];
        opened.read_exact_at(&mut bytes, 2).unwrap();
        opened.write_all_at(b"XY", 1).unwrap();
        opened.sync_data().unwrap();
        assert_eq!((bytes, file.bytes()), (*b"cde", b"aXYdef".to_vec().into()));
        let came = |event: &Event| match event {
            Event::Came(call) if call.op().is_some_and(|op| op != Op::Open) => Some(*call),
            _ => None,
        };
        let calls: Vec<Call> = file.events().iter().filter_map(came).collect();
        let write = Call::Write { offset: 1, len: 2, durable: false };
        assert_eq!(calls, [Call::Read { offset: 2, len: 3 }, write, Call::Fsync]);
    }

    #[test]
    fn file_fails_once_or_always_as_it_is_told() {
        let Some(file) = FuseFile::of(vec![0; 10]) else { return };
        let opened = open(&file);
        let errno = |result: std::io::Result<()>| result.map_err(|e| e.raw_os_error().unwrap());
        file.fail_next(Op::Fsync, libc::EIO);
        assert_eq!(errno(opened.sync_data()), Err(libc::EIO));
        assert_eq!(errno(opened.sync_data()), Ok(()));
        file.fail_all(Op::Write, libc::ENOSPC);
        for _ in 0..2 {
            assert_eq!(errno((&opened).write_all(b"x")), Err(libc::ENOSPC));
        }
        file.mend();
        assert_eq!(errno((&opened).write_all(b"x")), Ok(()));
    }

    #[test]
    fn file_holds_an_answer_back_until_it_is_released() {
        let Some(file) = FuseFile::of(vec![7; 10]) else { return };
        let opened = open(&file);
        file.hold(Op::Read);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| opened.read_exact_at(&mut [0; 4], 0));
            file.wait_for(Op::Read, 1);
            assert!(!reader.is_finished());
            file.release(Op::Read);
            reader.join().unwrap().unwrap();
        });
    }

    #[test]
    fn file_that_vanishes_fails_what_is_in_flight_and_all_that_comes() {
        let Some(mut file) = FuseFile::of(vec![7; 10]) else { return };
        let opened = open(&file);
        file.hold(Op::Read);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| opened.read_exact_at(&mut [0; 4], 0));
            file.wait_for(Op::Read, 1);
            file.vanish();
            assert!(reader.join().unwrap().is_err());
        });
        assert!(opened.sync_data().is_err());
    }

    #[test]
    fn file_in_the_page_cache_is_written_when_it_is_asked_for() {
        let manner = Manner { writeback: true, ..Manner::default() };
        let Some(file) = FuseFile::with(vec![7; 4096], manner) else { return };
        let opened = open(&file);
        opened.write_all_at(b"new", 0).unwrap();
        assert_eq!(file.count(Op::Write), 0);
        opened.sync_data().unwrap();
        assert_eq!((file.count(Op::Write), file.count(Op::Fsync)), (1, 1));
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The functions themselves, on a directory that is made for it. The tests want to be root, since users
//! and handles are what they are about.

mod callers;
mod confinement;
mod counts;
mod directories;
mod files;
mod limits;
mod locks;
mod lookups;
mod names;
mod sessions;
mod xattrs;

use std::ffi::{CStr, CString};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Options, Passthrough};
use crate::bytes::{Bytes, Room};
use crate::filesystem::{
    Caller, Context, Creation, Directory, DirectoryEntry, Entry, Failure, FileSystem, Handle,
    InitFlags, Inode, Looked, LookupName, Name, Opened, Opening, Plus, Release, Result, Writing,
};
use crate::transport::{Sink, Source};

const ROOT: Inode = Inode::ROOT;

/// Root asks, where nothing may wait.
const NOW: Context = Context { caller: Caller { uid: 0, gid: 0, pid: 1 }, may_wait: false };
const LATER: Context = Context { may_wait: true, ..NOW };

/// A directory that is shared.
struct Share {
    folder: tempfile::TempDir,
    fs: Passthrough,
}

impl Share {
    /// None, which is said, if that takes more than we may.
    fn new(options: Options) -> Option<Self> {
        Self::beginning(options, InitFlags(u64::MAX))
    }

    fn beginning(options: Options, offered: InitFlags) -> Option<Self> {
        let is_root = crate::sys::thread::ids().0 == 0;
        if !is_root {
            assert!(std::env::var_os("CI").is_none(), "this test needs to be root");
            eprintln!("SKIPPED: this test needs to be root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let shared = folder.path().join("shared");
        fs::create_dir(&shared).unwrap();
        let fs = share(&shared, options);
        fs.begin(offered).unwrap();
        Some(Self { folder, fs })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("shared").join(name)
    }

    fn look(&self, parent: Inode, name: &str) -> Result<Entry> {
        let name = CString::new(name).unwrap();
        match self.fs.lookup(&NOW, parent, LookupName::new(&name).unwrap())? {
            Looked::Found(entry) => Ok(entry),
            Looked::Absent(_) => Err(Failure::ENOENT),
        }
    }

    fn create(&self, name: &str, flags: i32) -> Result<(Entry, Opened)> {
        let creation = Creation { mode: libc::S_IFREG | 0o644, ..Creation::default() };
        let name = CString::new(name).unwrap();
        self.fs.create(&NOW, ROOT, called(&name), opening(flags), &creation)
    }

    fn open(&self, inode: Inode, flags: i32) -> Result<Handle> {
        self.fs.open(&NOW, inode, opening(flags)).map(|opened| opened.handle)
    }

    fn write(&self, inode: Inode, handle: Handle, offset: u64, data: &[u8]) -> Result<usize> {
        self.write_as(inode, handle, offset, data, Writing::default())
    }

    fn write_as(
        &self,
        inode: Inode,
        handle: Handle,
        offset: u64,
        data: &[u8],
        writing: Writing,
    ) -> Result<usize> {
        let bytes = Bytes::new(data);
        let source = Source::new(&bytes, 0, data.len());
        self.fs.write(&NOW, inode, handle, offset, &source, writing)
    }

    /// As the server does: first where nothing may wait, then where it may.
    fn read(&self, inode: Inode, handle: Handle, offset: u64, len: usize) -> Result<Vec<u8>> {
        let room = Room::new(len);
        let read =
            |context| self.fs.read(context, inode, handle, offset, &Sink::new(&room, 0, len));
        let read = match read(&NOW) {
            Err(Failure::WouldWait) => read(&LATER),
            result => result,
        }?;
        let mut data = room.into_bytes();
        data.truncate(read);
        Ok(data)
    }

    fn release(&self, inode: Inode, handle: Handle) {
        self.fs.release(&NOW, inode, handle, Release::default()).unwrap();
    }

    /// The names in a directory as READDIR or READDIRPLUS says them, with answers of `room` bytes.
    fn list(&self, inode: Inode, plus: bool, room: usize) -> Result<Vec<(String, Plus)>> {
        let handle = self.fs.open_directory(&NOW, inode, 0)?.handle;
        let (mut names, mut offset) = (Vec::new(), 0);
        loop {
            let mut some = Entries { plus, room, found: Vec::new() };
            self.fs.read_directory(&NOW, inode, handle, offset, &mut some)?;
            let Some(last) = some.found.last() else { break };
            offset = last.1;
            names.extend(some.found.into_iter().map(|(name, _, plus)| (name, plus)));
        }
        self.fs.release_directory(&NOW, inode, handle)?;
        Ok(names)
    }
}

/// Shares a directory, and makes this thread one that serves it.
fn share(path: &Path, options: Options) -> Passthrough {
    let root = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path).unwrap();
    let fs = Passthrough::new(root.into(), None, options).unwrap();
    fs.prepare_thread().unwrap();
    fs
}

fn called(name: &CStr) -> Name<'_> {
    Name::new(name).unwrap()
}

fn opening(flags: i32) -> Opening {
    Opening { flags: flags.cast_unsigned(), kill_suid_sgid: false }
}

fn creating(mode: u32) -> Creation<'static> {
    Creation { mode, ..Creation::default() }
}

/// An answer to READDIR.
struct Entries {
    plus: bool,
    room: usize,
    found: Vec<(String, u64, Plus)>,
}

impl Directory for Entries {
    fn is_plus(&self) -> bool {
        self.plus
    }

    fn has_room_for(&self, len: usize) -> bool {
        self.room >= len + 24
    }

    fn add(&mut self, entry: &DirectoryEntry<'_>, plus: Plus) {
        self.room -= entry.name.len() + 24;
        let name = String::from_utf8_lossy(entry.name).into_owned();
        self.found.push((name, entry.offset, plus));
    }
}

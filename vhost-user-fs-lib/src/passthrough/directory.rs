// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! READDIR and READDIRPLUS.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Passthrough;
use crate::filesystem::{
    Directory, DirectoryEntry, Failure, Handle, Inode, LookupName, Plus, Result,
};
use crate::sys::directory::{Found, getdents, seek_directory};

/// How much is read from a directory at once.
const BUFFER: usize = 32 << 10;
/// What the longest entry takes of it, and more.
const LONGEST: usize = 512;
/// The most that is kept of what was read and is yet to be asked for, in all directories. Beyond that it is
/// read again.
const MOST_READ_AHEAD: usize = 64 << 20;

/// Where a directory is being read.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// Entries from `start` on that were read and not yet asked for.
    buffer: Vec<u8>,
    start: usize,
    /// The position of the first of them.
    position: u64,
    /// If there are none: whether the host's position is that one.
    elsewhere: bool,
    /// It has been read from.
    touched: bool,
    charge: Option<Charge>,
}

/// What a buffer takes of [`MOST_READ_AHEAD`].
#[derive(Debug)]
struct Charge(Arc<AtomicUsize>);

impl Charge {
    fn new(all: &Arc<AtomicUsize>) -> Option<Self> {
        let charge = Self(Arc::clone(all));
        let before = all.fetch_add(BUFFER, Ordering::Relaxed);
        (before < MOST_READ_AHEAD).then_some(charge)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.0.fetch_sub(BUFFER, Ordering::Relaxed);
    }
}

impl Cursor {
    /// Goes to `offset`. Says whether the host must be told.
    fn go_to(&mut self, offset: u64) -> bool {
        if offset != self.position || (offset == 0 && self.touched) {
            self.drop_buffer();
            self.elsewhere = true;
        }
        self.position = offset;
        self.touched = true;
        self.is_empty() && std::mem::take(&mut self.elsewhere)
    }

    fn is_empty(&self) -> bool {
        self.start >= self.buffer.len()
    }

    /// Forgets what was read; if there was something the host is beyond our position.
    fn drop_buffer(&mut self) {
        self.elsewhere |= !self.is_empty();
        self.buffer = Vec::new();
        self.start = 0;
    }
}

impl Passthrough {
    pub(super) fn list(
        &self,
        inode: Inode,
        handle: Handle,
        offset: u64,
        entries: &mut dyn Directory,
    ) -> Result<()> {
        let open = self.directory_of(inode, handle)?;
        let node = self.directory(inode)?;
        let mut cursor = open.cursor()?;
        let cursor = &mut *cursor;
        cursor.charge = None;
        if cursor.go_to(offset) {
            seek_directory(open.as_fd(), offset)?;
        }
        let mut added = false;
        loop {
            if cursor.is_empty() {
                // It was the end if there was room for more; the client asks once more in any case.
                if added && cursor.buffer.len() < BUFFER - LONGEST {
                    break;
                }
                cursor.buffer.resize(BUFFER, 0);
                let read = getdents(open.as_fd(), &mut cursor.buffer);
                cursor.start = 0;
                cursor.buffer.truncate(read.as_ref().copied().unwrap_or(0));
                match read {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(_) if added => break,
                    Err(error) => return Err(error.into()),
                }
            }
            let Some(found) = cursor.buffer.get(cursor.start..).and_then(Found::first) else {
                return Err(Failure::EIO);
            };
            if !entries.has_room_for(found.name.to_bytes().len()) {
                if !added {
                    return Err(Failure::EINVAL);
                }
                break;
            }
            if let Some(plus) = self.plus(&node.ids, open.as_fd(), &found, entries.is_plus()) {
                let (ino, offset, kind) = (found.ino, found.offset, u32::from(found.kind));
                let name = found.name.to_bytes();
                entries.add(&DirectoryEntry { ino, offset, kind, name }, plus);
                added = true;
            }
            cursor.position = found.offset;
            cursor.start += found.len;
        }
        if !cursor.is_empty() {
            cursor.charge = Charge::new(&self.read_ahead);
        }
        if cursor.charge.is_none() {
            cursor.drop_buffer();
        }
        Ok(())
    }

    /// What LOOKUP would say of an entry; nothing at all if it is gone.
    fn plus(
        &self,
        parent: &super::inode::Ids,
        directory: std::os::fd::BorrowedFd<'_>,
        found: &Found<'_>,
        is_wanted: bool,
    ) -> Option<Plus> {
        if !is_wanted {
            return Some(Plus::Nothing);
        }
        let Ok(LookupName::Entry(name)) = LookupName::new(found.name) else {
            return Some(Plus::Nothing);
        };
        match self.find(parent, directory, name) {
            Ok(entry) => Some(Plus::Entry(entry)),
            Err(Failure::ENOENT) => None,
            Err(_) => Some(Plus::Nothing),
        }
    }
}

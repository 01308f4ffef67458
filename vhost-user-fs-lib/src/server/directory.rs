// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Directories: OPENDIR, READDIR, READDIRPLUS, RELEASEDIR.

use super::answer::Answer;
use super::refusal::Served;
use super::{Call, Server};
use crate::filesystem::{Directory, DirectoryEntry, FileSystem, Handle, Plus};
use crate::fuse::{Dirent, EntryOut, OpenIn, OpenOut, RECORD, ReadIn, ReleaseIn, Wire};

/// The longest name of an entry, in bytes.
const LONGEST_NAME: usize = 255;

/// The longest record.
const LARGEST: usize = (EntryOut::SIZE + Dirent::SIZE + LONGEST_NAME).next_multiple_of(RECORD);

impl<F: FileSystem> Server<F> {
    pub(super) fn opendir(&self, call: &mut Call<'_>) -> Served {
        let OpenIn { flags, .. } = call.request.take()?;
        let room = call.answer.room()?;
        let opened = self.fs.open_directory(&call.context, call.inode(), flags)?;
        room.fill(&OpenOut::from(opened))
    }

    pub(super) fn readdir(&self, call: &mut Call<'_>, is_plus: bool) -> Served {
        let ReadIn { fh, offset, size, .. } = call.request.take()?;
        call.answer.room::<()>()?;
        let size = usize::try_from(size.min(self.limits.max_write)).unwrap_or(usize::MAX);
        let room = size.min(call.answer.payload());
        let mut records = Records { answer: call.answer, is_plus, room, done: 0, broken: false };
        let (inode, handle) = (call.inode(), Handle(fh));
        let read = self.fs.read_directory(&call.context, inode, handle, offset, &mut records);
        // What was added may have references, of which the client must hear.
        if records.done == 0 {
            read?;
        }
        call.answer.in_place(records.done)
    }

    pub(super) fn releasedir(&self, call: &mut Call<'_>) -> Served {
        let ReleaseIn { fh, .. } = call.request.take()?;
        let room = call.answer.room()?;
        self.fs.release_directory(&call.context, call.inode(), Handle(fh))?;
        room.fill(&())
    }
}

/// The records of an answer. They go straight to where they shall be.
struct Records<'r> {
    answer: Answer<'r>,
    is_plus: bool,
    room: usize,
    done: usize,
    /// One did not fit, and so nothing may come behind it.
    broken: bool,
}

impl Records<'_> {
    fn size(&self, name: usize) -> usize {
        let plus = if self.is_plus { EntryOut::SIZE } else { 0 };
        plus.saturating_add(Dirent::SIZE).saturating_add(name)
    }
}

impl Directory for Records<'_> {
    fn is_plus(&self) -> bool {
        self.is_plus
    }

    fn has_room_for(&self, len: usize) -> bool {
        let size = self.size(len);
        !self.broken
            && len <= LONGEST_NAME
            && size.next_multiple_of(RECORD) <= self.room - self.done
    }

    fn add(&mut self, entry: &DirectoryEntry<'_>, plus: Plus) {
        if !self.has_room_for(entry.name.len()) {
            self.broken = true;
            return;
        }
        let mut record = [0; LARGEST];
        let mut rest = record.as_mut_slice();
        if self.is_plus {
            match plus {
                Plus::Entry(entry) => EntryOut::from(&entry).put(&mut rest),
                Plus::Nothing => EntryOut::default().put(&mut rest),
            }
        }
        let namelen = u32::try_from(entry.name.len()).unwrap_or_default();
        let dirent = Dirent { ino: entry.ino, off: entry.offset, namelen, kind: entry.kind };
        dirent.put(&mut rest);
        if let Some(name) = rest.get_mut(..entry.name.len()) {
            name.copy_from_slice(entry.name);
        }
        let size = self.size(entry.name.len()).next_multiple_of(RECORD);
        let written = self.answer.put(self.done, record.get(..size).unwrap_or_default());
        match written {
            Ok(()) => self.done += size,
            Err(_) => self.broken = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::Room;

    #[test]
    fn names_have_at_most_255_bytes() {
        let room = Room::new(4096);
        let answer = Answer::new(&room, 1);
        let mut records = Records { answer, is_plus: true, room: 4080, done: 0, broken: false };
        assert!(records.has_room_for(255));
        assert!(!records.has_room_for(256) && !records.has_room_for(usize::MAX));
        let name = [b'n'; 256];
        let entry = DirectoryEntry { ino: 1, offset: 1, kind: 8, name: &name };
        records.add(&DirectoryEntry { name: &name[..255], ..entry }, Plus::Nothing);
        assert_eq!(records.done, 128 + 24 + 256);
        records.add(&entry, Plus::Nothing);
        assert_eq!(records.done, 128 + 24 + 256);
        assert!(!records.has_room_for(1), "nothing comes behind what did not fit");
    }
}

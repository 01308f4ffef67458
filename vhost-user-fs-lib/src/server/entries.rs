// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Names: what they mean, new ones, and those that go.

use super::extensions::{self, Extensions};
use super::refusal::{Malformed, Refusal, Served};
use super::request::Tail;
use super::texts::{self, Texts};
use super::{Call, Server};
use crate::filesystem::{
    Creation, Entry, Failure, FileSystem, InitFlags, Inode, Looked, Name, Opening,
};
use crate::fuse::{
    BatchForgetIn, CreateIn, CreateOut, EntryOut, ForgetIn, ForgetOne, LinkIn, MkdirIn, MknodIn,
    OpenIn, OpenOut, Rename2In, RenameIn, Wire,
};

/// The most bytes that belong to something new.
const NEW: usize = 2 * texts::LONGEST + extensions::LONGEST;

/// The most inodes that are forgotten at once: more than any client says, and few enough to hold up nobody.
const MOST_FORGOTTEN: u32 = 1 << 16;

impl<F: FileSystem> Server<F> {
    pub(super) fn lookup(&self, call: &mut Call<'_>) -> Served {
        let room = call.answer.room()?;
        let tail = call.request.tail(texts::LONGEST)?;
        let export = self.session.has(InitFlags::EXPORT_SUPPORT);
        let name = Texts(tail.bytes()).lookup_name(export)?;
        match self.fs.lookup(&call.context, call.inode(), name)? {
            Looked::Found(entry) => room.fill(&EntryOut::from(&entry)),
            Looked::Absent(timeout) if timeout.is_zero() => Err(Failure::ENOENT.into()),
            Looked::Absent(timeout) => room.fill(&EntryOut::absent(timeout)),
        }
    }

    pub(super) fn forget(&self, call: &mut Call<'_>) -> Served {
        let ForgetIn { nlookup } = call.request.take()?;
        self.fs.forget(call.inode(), nlookup);
        Ok(0)
    }

    pub(super) fn batch_forget(&self, call: &mut Call<'_>) -> Served {
        let BatchForgetIn { count, .. } = call.request.take()?;
        let len = usize::try_from(count).ok().and_then(|count| count.checked_mul(ForgetOne::SIZE));
        let (len, left) = (len.unwrap_or(usize::MAX), call.request.left());
        if len > left || count > MOST_FORGOTTEN {
            return Err(Malformed::Value { what: "a count of", value: count.into() }.into());
        }
        for _ in 0..count {
            let ForgetOne { nodeid, nlookup } = call.request.take()?;
            self.fs.forget(Inode(nodeid), nlookup);
        }
        Ok(0)
    }

    pub(super) fn readlink(&self, call: &Call<'_>) -> Served {
        call.answer.room::<()>()?;
        let target = self.fs.read_link(&call.context, call.inode())?;
        call.answer.bytes(&target)
    }

    pub(super) fn symlink(&self, call: &mut Call<'_>) -> Served {
        self.make(call, |call, new| {
            let (name, target) = (new.texts.name()?, new.texts.target()?);
            let creation = new.creation(0, 0)?;
            Ok(self.fs.make_symlink(&call.context, call.inode(), name, target, &creation)?)
        })
    }

    pub(super) fn mknod(&self, call: &mut Call<'_>) -> Served {
        let MknodIn { mode, rdev, umask, .. } = call.request.take()?;
        self.make(call, |call, new| {
            let name = new.texts.name()?;
            let creation = new.creation(mode, umask)?;
            Ok(self.fs.make_node(&call.context, call.inode(), name, rdev, &creation)?)
        })
    }

    pub(super) fn mkdir(&self, call: &mut Call<'_>) -> Served {
        let MkdirIn { mode, umask } = call.request.take()?;
        self.make(call, |call, new| {
            let name = new.texts.name()?;
            let creation = new.creation(mode, umask)?;
            Ok(self.fs.make_directory(&call.context, call.inode(), name, &creation)?)
        })
    }

    pub(super) fn create(&self, call: &mut Call<'_>) -> Served {
        let CreateIn { flags, mode, umask, open_flags } = call.request.take()?;
        let room = call.answer.room()?;
        let tail = call.request.tail(NEW)?;
        let mut new = self.new_one(call, &tail)?;
        let name = new.texts.name()?;
        let creation = new.creation(mode, umask)?;
        let opening = opening(flags, open_flags);
        let (entry, opened) =
            self.fs.create(&call.context, call.inode(), name, opening, &creation)?;
        let (entry, open) = (EntryOut::from(&entry), OpenOut::from(opened));
        room.fill(&CreateOut { entry, open })
    }

    pub(super) fn tmpfile(&self, call: &mut Call<'_>) -> Served {
        let CreateIn { flags, mode, umask, open_flags } = call.request.take()?;
        let room = call.answer.room()?;
        let tail = call.request.tail(NEW)?;
        let mut new = self.new_one(call, &tail)?;
        // There is a name, which means nothing; Linux says `/`.
        new.texts.text()?;
        let creation = new.creation(mode, umask)?;
        let opening = opening(flags, open_flags);
        let (entry, opened) =
            self.fs.create_unnamed(&call.context, call.inode(), opening, &creation)?;
        let (entry, open) = (EntryOut::from(&entry), OpenOut::from(opened));
        room.fill(&CreateOut { entry, open })
    }

    pub(super) fn link(&self, call: &mut Call<'_>) -> Served {
        let LinkIn { oldnodeid } = call.request.take()?;
        let room = call.answer.room()?;
        let tail = call.request.tail(texts::LONGEST)?;
        let name = Texts(tail.bytes()).name()?;
        let entry = self.fs.link(&call.context, Inode(oldnodeid), call.inode(), name)?;
        room.fill(&EntryOut::from(&entry))
    }

    pub(super) fn unlink(&self, call: &mut Call<'_>) -> Served {
        self.remove(call, |call, name| self.fs.unlink(&call.context, call.inode(), name))
    }

    pub(super) fn rmdir(&self, call: &mut Call<'_>) -> Served {
        self.remove(call, |call, name| self.fs.remove_directory(&call.context, call.inode(), name))
    }

    pub(super) fn rename(&self, call: &mut Call<'_>) -> Served {
        let RenameIn { newdir } = call.request.take()?;
        self.rename_to(call, newdir, 0)
    }

    pub(super) fn rename2(&self, call: &mut Call<'_>) -> Served {
        let Rename2In { newdir, flags, .. } = call.request.take()?;
        self.rename_to(call, newdir, flags)
    }

    fn rename_to(&self, call: &mut Call<'_>, newdir: u64, flags: u32) -> Served {
        let room = call.answer.room()?;
        let tail = call.request.tail(2 * texts::LONGEST)?;
        let mut texts = Texts(tail.bytes());
        let (from, to) = (texts.name()?, texts.name()?);
        let (from, to) = ((call.inode(), from), (Inode(newdir), to));
        self.fs.rename(&call.context, from, to, flags)?;
        room.fill(&())
    }

    fn remove(
        &self,
        call: &mut Call<'_>,
        remove: impl FnOnce(&Call<'_>, Name<'_>) -> Result<(), Failure>,
    ) -> Served {
        let room = call.answer.room()?;
        let tail = call.request.tail(texts::LONGEST)?;
        remove(call, Texts(tail.bytes()).name()?)?;
        room.fill(&())
    }

    /// Has something made that is answered by an entry.
    fn make(
        &self,
        call: &mut Call<'_>,
        make: impl FnOnce(&Call<'_>, &mut New<'_>) -> Result<Entry, Refusal>,
    ) -> Served {
        let room = call.answer.room()?;
        let tail = call.request.tail(NEW)?;
        let entry = make(call, &mut self.new_one(call, &tail)?)?;
        room.fill(&EntryOut::from(&entry))
    }

    /// Takes the extensions off the end.
    fn new_one<'t>(&self, call: &Call<'_>, tail: &'t Tail) -> Result<New<'t>, Refusal> {
        let bytes = tail.bytes();
        let len = call.request.extensions();
        let texts = bytes.len().checked_sub(len).ok_or(Malformed::Extensions)?;
        let (texts, extensions) = bytes.split_at(texts);
        let unsaid = len == 0 && self.session.extends_unsaid();
        Ok(New { texts: Texts(texts), extensions, unsaid })
    }
}

/// What is said of something new behind the arguments of a fixed size.
struct New<'t> {
    texts: Texts<'t>,
    extensions: &'t [u8],
    /// They are what is left behind the last text.
    unsaid: bool,
}

impl<'t> New<'t> {
    fn creation(&self, mode: u32, umask: u32) -> Result<Creation<'t>, Refusal> {
        let bytes = if self.unsaid { self.texts.0 } else { self.extensions };
        let Extensions { group, security } = Extensions::parse(bytes)?;
        Ok(Creation { mode, umask, group, security })
    }
}

/// How a file is opened.
pub(super) fn opening(flags: u32, open_flags: u32) -> Opening {
    Opening { flags, kill_suid_sgid: open_flags & OpenIn::KILL_SUIDGID != 0 }
}

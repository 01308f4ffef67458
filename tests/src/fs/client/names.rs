// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Requests about a name in a folder.

use super::{Entry, FsClient, Opened, Reply};
use crate::fs::wire::{Body, ENTRY, Fields, OUT_HEADER, init, opcode};

/// FUSE_EXT_GROUPS.
const EXT_GROUPS: u32 = 32;

/// What CREATE is told beside the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct New {
    /// open(2)'s flags.
    pub flags: i32,
    /// The mode with the type.
    pub mode: u32,
    /// The umask.
    pub umask: u32,
}

impl Default for New {
    fn default() -> Self {
        Self { flags: libc::O_RDWR, mode: libc::S_IFREG | 0o644, umask: 0o022 }
    }
}

impl FsClient {
    /// LOOKUP.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn lookup(&mut self, parent: u64, name: impl AsRef<[u8]>) -> Reply<Entry> {
        self.entry(opcode::LOOKUP, parent, &Body::new().name(name).finish())
    }

    /// LOOKUP of each part of `path`, from the node on; the last one's entry.
    ///
    /// # Errors
    /// The errno in the reply to the first that failed.
    #[track_caller]
    pub fn walk(&mut self, from: u64, path: &str) -> Reply<Entry> {
        let mut parts = path.split('/');
        let first = self.lookup(from, parts.next().unwrap_or_default());
        parts.fold(first, |entry, part| self.lookup(entry?.node, part))
    }

    /// CREATE: makes a file, if it is not there, and opens it.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn create(
        &mut self,
        parent: u64,
        name: impl AsRef<[u8]>,
        new: New,
    ) -> Reply<(Entry, Opened)> {
        self.made_open(opcode::CREATE, parent, name.as_ref(), new)
    }

    /// TMPFILE: makes a file without a name in the folder, and opens it.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn tmpfile(&mut self, parent: u64, new: New) -> Reply<(Entry, Opened)> {
        self.made_open(opcode::TMPFILE, parent, b"#1", new)
    }

    /// MKNOD.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn mknod(
        &mut self,
        parent: u64,
        name: impl AsRef<[u8]>,
        mode: u32,
        device: u32,
    ) -> Reply<Entry> {
        let body = Body::new().u32s(&[mode, device, 0o022, 0]).name(name);
        self.made(opcode::MKNOD, parent, body)
    }

    /// MKDIR.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn mkdir(&mut self, parent: u64, name: impl AsRef<[u8]>, mode: u32) -> Reply<Entry> {
        self.made(opcode::MKDIR, parent, Body::new().u32s(&[mode, 0o022]).name(name))
    }

    /// SYMLINK: makes the link `name` that leads to `target`.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn symlink(
        &mut self,
        parent: u64,
        name: impl AsRef<[u8]>,
        target: impl AsRef<[u8]>,
    ) -> Reply<Entry> {
        self.made(opcode::SYMLINK, parent, Body::new().name(name).name(target))
    }

    /// LINK: one more name for a node.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn link(&mut self, node: u64, parent: u64, name: impl AsRef<[u8]>) -> Reply<Entry> {
        self.entry(opcode::LINK, parent, &Body::new().u64s(&[node]).name(name).finish())
    }

    /// READLINK.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn readlink(&mut self, node: u64) -> Reply<Vec<u8>> {
        self.request(opcode::READLINK, node, &[], 4096).map(Vec::from)
    }

    /// UNLINK.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn unlink(&mut self, parent: u64, name: impl AsRef<[u8]>) -> Reply<()> {
        self.request(opcode::UNLINK, parent, &Body::new().name(name).finish(), 0).map(drop)
    }

    /// RMDIR.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn rmdir(&mut self, parent: u64, name: impl AsRef<[u8]>) -> Reply<()> {
        self.request(opcode::RMDIR, parent, &Body::new().name(name).finish(), 0).map(drop)
    }

    /// RENAME.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn rename(
        &mut self,
        from: (u64, impl AsRef<[u8]>),
        to: (u64, impl AsRef<[u8]>),
    ) -> Reply<()> {
        let body = Body::new().u64s(&[to.0]).name(from.1).name(to.1);
        self.request(opcode::RENAME, from.0, &body.finish(), 0).map(drop)
    }

    /// RENAME2, with flags of renameat2(2).
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn rename_with(
        &mut self,
        from: (u64, impl AsRef<[u8]>),
        to: (u64, impl AsRef<[u8]>),
        flags: u32,
    ) -> Reply<()> {
        let body = Body::new().u64s(&[to.0]).u32s(&[flags, 0]).name(from.1).name(to.1);
        self.request(opcode::RENAME2, from.0, &body.finish(), 0).map(drop)
    }

    #[track_caller]
    fn entry(&mut self, opcode: u32, node: u64, body: &[u8]) -> Reply<Entry> {
        self.request(opcode, node, body, ENTRY).map(|reply| Entry::alone(&reply))
    }

    #[track_caller]
    fn made(&mut self, opcode: u32, parent: u64, body: Body) -> Reply<Entry> {
        let message = self.extended(opcode, parent, body);
        let ticket = self.submit(self.on, &message, OUT_HEADER + ENTRY);
        self.end(ticket).map(|reply| Entry::alone(&reply))
    }

    fn extended(&mut self, opcode: u32, node: u64, body: Body) -> Vec<u8> {
        let extension = self.extension();
        self.message_with(opcode, node, &body.finish(), &extension)
    }

    #[track_caller]
    fn made_open(
        &mut self,
        opcode: u32,
        parent: u64,
        name: &[u8],
        new: New,
    ) -> Reply<(Entry, Opened)> {
        let body = Body::new().u32s(&[new.flags.cast_unsigned(), new.mode, new.umask, 0]);
        let message = self.extended(opcode, parent, body.name(name));
        let ticket = self.submit(self.on, &message, OUT_HEADER + ENTRY + 16);
        let reply = self.end(ticket)?;
        let mut fields = Fields::of(&reply);
        let made = (Entry::of(&mut fields), Opened::of(&mut fields));
        assert!(fields.is_empty(), "bytes behind the handle in a reply");
        Ok(made)
    }

    /// The groups of the caller as an extension of a request, if they are to be sent.
    fn extension(&self) -> Vec<u8> {
        if self.groups.is_empty() || self.agreed & init::CREATE_SUPP_GROUP == 0 {
            return Vec::new();
        }
        let count = u32::try_from(self.groups.len()).expect("a number of groups");
        let len = (12 + 4 * count).next_multiple_of(8);
        let extension = Body::new().u32s(&[len, EXT_GROUPS, count]).u32s(&self.groups);
        let mut bytes = extension.finish();
        bytes.resize(usize::try_from(len).expect("a length of our own"), 0);
        bytes
    }
}

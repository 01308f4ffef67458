// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! CREATE, TMPFILE, MKDIR, MKNOD, SYMLINK.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use libc::c_int;

use super::Passthrough;
use super::inode::Ids;
use super::reach::opened;
use crate::filesystem::{Context, Creation, Entry, Failure, Inode, Name, Opened, Opening, Result};
use crate::sys::names::{mkdirat, mknodat, symlinkat, unlinkat};
use crate::sys::open::{open_at, open_beneath};
use crate::sys::xattr::{self, Of};

/// What is new cannot be something else that waits or acts when it is opened.
const NEW: c_int = libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;

impl Passthrough {
    pub(super) fn create_file(
        &self,
        context: &Context,
        parent: Inode,
        name: Name<'_>,
        opening: Opening,
        creation: &Creation<'_>,
    ) -> Result<(Entry, Opened)> {
        let directory = self.directory(parent)?;
        let flags = self.host_flags(opening.flags)? & !libc::O_TRUNC;
        let permit = self.permit()?;
        let for_inode = self.permit_for_new(&directory)?;
        let reached = self.reach(&directory)?;
        let fd = reached.as_fd();
        let made = self.make_as(context, creation, |mode| {
            open_beneath(fd, name.as_c_str(), flags | NEW, mode & 0o7777)
        });
        let exclusive = opening.flags.cast_signed() & libc::O_EXCL != 0;
        let file = match made {
            Err(Failure::Errno(libc::EEXIST)) if !exclusive => {
                drop((permit, for_inode));
                return self.open_existing(&directory.ids, fd, name, opening);
            }
            Err(Failure::Errno(libc::EMFILE)) => return Err(Failure::ENFILE),
            result => result?,
        };
        self.label_file(&file, creation).inspect_err(|_| self.take_back(fd, name, 0))?;
        let entry = self.enter_open(&directory.ids, file.as_fd(), fd, for_inode)?;
        let opened = self.keep_new(&entry, file, permit, flags, opening)?;
        Ok((entry, opened))
    }

    /// CREATE of what is there already.
    fn open_existing(
        &self,
        parent: &Ids,
        directory: BorrowedFd<'_>,
        name: Name<'_>,
        opening: Opening,
    ) -> Result<(Entry, Opened)> {
        let entry = self.find(parent, directory, name)?;
        match self.open_file(entry.inode, opening) {
            Ok(opened) => Ok((entry, opened)),
            Err(failure) => {
                self.table.forget(entry.inode, 1);
                Err(failure)
            }
        }
    }

    pub(super) fn create_nameless(
        &self,
        context: &Context,
        parent: Inode,
        opening: Opening,
        creation: &Creation<'_>,
    ) -> Result<(Entry, Opened)> {
        let directory = self.directory(parent)?;
        let exclusive = opening.flags.cast_signed() & libc::O_EXCL;
        let flags = self.host_flags(opening.flags)? & !libc::O_TRUNC | exclusive;
        if flags & libc::O_ACCMODE == libc::O_RDONLY {
            return Err(Failure::EINVAL);
        }
        let permit = self.permit()?;
        let for_inode = self.permit_for_new(&directory)?;
        let reached = self.reach(&directory)?;
        let file = self.make_as(context, creation, |mode| {
            open_at(reached.as_fd(), c".", flags | libc::O_TMPFILE, mode & 0o7777)
        })?;
        self.label_file(&file, creation)?;
        let entry = self.enter_open(&directory.ids, file.as_fd(), reached.as_fd(), for_inode)?;
        let opened = self.keep_new(&entry, file, permit, flags, opening)?;
        Ok((entry, opened))
    }

    fn keep_new(
        &self,
        entry: &Entry,
        file: OwnedFd,
        permit: super::descriptors::Permit,
        flags: c_int,
        opening: Opening,
    ) -> Result<Opened> {
        let node = self.node(entry.inode)?;
        Ok(self.keep_file(&node, file, permit, flags, opening.flags))
    }

    pub(super) fn make_dir(
        &self,
        context: &Context,
        parent: Inode,
        name: Name<'_>,
        creation: &Creation<'_>,
    ) -> Result<Entry> {
        self.make(context, parent, name, creation, libc::AT_REMOVEDIR, |fd, name, mode| {
            mkdirat(fd, name, mode & 0o7777)
        })
    }

    pub(super) fn make_special(
        &self,
        context: &Context,
        parent: Inode,
        name: Name<'_>,
        device: u32,
        creation: &Creation<'_>,
    ) -> Result<Entry> {
        self.make(context, parent, name, creation, 0, |fd, name, mode| {
            mknodat(fd, name, mode, device)
        })
    }

    pub(super) fn make_link_to(
        &self,
        context: &Context,
        parent: Inode,
        name: Name<'_>,
        target: &CStr,
        creation: &Creation<'_>,
    ) -> Result<Entry> {
        self.make(context, parent, name, creation, 0, |fd, name, _| symlinkat(target, fd, name))
    }

    /// Makes something that has a name and is not opened; `undo` are the flags to remove it by.
    fn make(
        &self,
        context: &Context,
        parent: Inode,
        name: Name<'_>,
        creation: &Creation<'_>,
        undo: c_int,
        act: impl FnOnce(BorrowedFd<'_>, &CStr, u32) -> io::Result<()>,
    ) -> Result<Entry> {
        let directory = self.directory(parent)?;
        let permit = self.permit_for_new(&directory)?;
        let reached = self.reach(&directory)?;
        let fd = reached.as_fd();
        self.make_as(context, creation, |mode| act(fd, name.as_c_str(), mode))?;
        let flags = libc::O_PATH | libc::O_NOFOLLOW;
        let new = open_beneath(fd, name.as_c_str(), flags, 0).map_err(opened)?;
        let entry = self.enter(&directory.ids, new, fd, permit)?;
        if creation.security.is_some()
            && let Err(failure) = self.label(entry.inode, creation)
        {
            self.table.forget(entry.inode, 1);
            self.take_back(fd, name, undo);
            return Err(failure);
        }
        Ok(entry)
    }

    /// Gives a new file its label: not before anyone can see it, but before the client does.
    fn label_file(&self, file: &OwnedFd, creation: &Creation<'_>) -> Result<()> {
        let Some(label) = &creation.security else { return Ok(()) };
        let name = self.options.xattr_map.to_host(label.name)?;
        Ok(xattr::set(Of::File(file.as_fd()), &name, label.value, 0)?)
    }

    fn label(&self, inode: Inode, creation: &Creation<'_>) -> Result<()> {
        let Some(label) = &creation.security else { return Ok(()) };
        let name = self.options.xattr_map.to_host(label.name)?;
        self.on_xattrs(inode, |of| xattr::set(of, &name, label.value, 0))
    }

    /// Removes what was made and cannot be as it should.
    fn take_back(&self, directory: BorrowedFd<'_>, name: Name<'_>, flags: c_int) {
        if let Err(error) = unlinkat(directory, name.as_c_str(), flags) {
            log::warn!("{name:?}, which could not get its label, is still there: {error}");
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! LOOKUP: names become inodes.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::descriptors::{Descriptor, Permit};
use super::inode::{Ids, Node, Place};
use super::reach::opened;
use super::{FileHandles, Passthrough};
use crate::filesystem::{Entry, Failure, Inode, Looked, LookupName, Name, Result};
use crate::sys::open::{name_to_handle, open_at, open_beneath};
use crate::sys::status::statx;

const PATH: i32 = libc::O_PATH | libc::O_NOFOLLOW;

impl Ids {
    /// Those that statx(2) says.
    pub(super) fn of(status: &libc::statx) -> Self {
        Self {
            mount: status.stx_mnt_id,
            device: u64::from(status.stx_dev_major) << 32 | u64::from(status.stx_dev_minor),
            ino: status.stx_ino,
        }
    }
}

impl Passthrough {
    pub(super) fn look_up(&self, parent: Inode, name: LookupName<'_>) -> Result<Looked> {
        let name = match name {
            LookupName::Entry(name) => name,
            LookupName::Current => return self.look_at(&self.node(parent)?).map(Looked::Found),
            LookupName::Parent => return self.look_up_parent(&self.node(parent)?),
        };
        let directory = self.directory(parent)?;
        let reached = self.reach(&directory)?;
        match self.find(&directory.ids, reached.as_fd(), name) {
            Ok(entry) => Ok(Looked::Found(entry)),
            Err(Failure::ENOENT) if !self.options.negative_timeout.is_zero() => {
                Ok(Looked::Absent(self.options.negative_timeout))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Finds `name` in the directory that `directory` is a descriptor of. One reference more.
    pub(super) fn find(
        &self,
        parent: &Ids,
        directory: BorrowedFd<'_>,
        name: Name<'_>,
    ) -> Result<Entry> {
        let name = name.as_c_str();
        let status = statx(directory, name)?;
        let ids = Ids::of(&status);
        if ids == self.root.ids {
            return Ok(self.entry(parent, &self.root, &status));
        }
        // Its number is not used again while a descriptor is open.
        if let Some(node) = self.table.find_and_refer(&ids, Node::is_held) {
            node.held();
            return Ok(self.entry(parent, &node, &status));
        }
        if let Some(node) = self.table.find(&ids)
            && has_handle(&node, directory, name)
            && self.table.refer(node.number)
        {
            return Ok(self.entry(parent, &node, &status));
        }
        let fd = open_beneath(directory, name, PATH, 0).map_err(opened)?;
        self.enter(parent, fd, directory, None)
    }

    /// The right to the descriptor that something new in a directory will need, taken before it is made:
    /// none if it will be known by its handle.
    pub(super) fn permit_for_new(&self, directory: &Node) -> Result<Option<Permit>> {
        let by_handle =
            self.options.file_handles != FileHandles::Never && self.mounts.has(directory.ids.mount);
        if by_handle { Ok(None) } else { self.permit().map(Some) }
    }

    /// Makes what `fd`, with O_PATH, stands for known to the client: one reference more. `directory` is the
    /// one that it is in; `permit` is there if [`Passthrough::permit_for_new`] was asked.
    pub(super) fn enter(
        &self,
        parent: &Ids,
        fd: OwnedFd,
        directory: BorrowedFd<'_>,
        permit: Option<Permit>,
    ) -> Result<Entry> {
        let status = statx(fd.as_fd(), c"")?;
        let ids = Ids::of(&status);
        if ids == self.root.ids {
            return Ok(self.entry(parent, &self.root, &status));
        }
        let kind = u32::from(status.stx_mode) & libc::S_IFMT;
        let Some(place) = self.place_by_handle(fd.as_fd(), &ids, kind, directory)? else {
            let permit = permit.map_or_else(|| self.permit(), Ok)?;
            let place = Place::Descriptor(Descriptor::new(fd, permit));
            // What has our numbers while our descriptor is open is the same.
            let node = self.table.insert(ids, kind, place, |node, _| node.is_held());
            return Ok(self.entry(parent, &node, &status));
        };
        drop(permit);
        let node = self.table.insert(ids, kind, place, is_same);
        if self.held.is_on()
            && let Some(permit) = self.budget.take()
        {
            self.held.keep(&node, &Arc::new(Descriptor::new(fd, permit)));
        }
        Ok(self.entry(parent, &node, &status))
    }

    /// Makes an open file that was just made known to the client, as [`Passthrough::enter`] does.
    pub(super) fn enter_open(
        &self,
        parent: &Ids,
        fd: BorrowedFd<'_>,
        directory: BorrowedFd<'_>,
        permit: Option<Permit>,
    ) -> Result<Entry> {
        let status = statx(fd, c"")?;
        let ids = Ids::of(&status);
        let kind = u32::from(status.stx_mode) & libc::S_IFMT;
        let place = match self.place_by_handle(fd, &ids, kind, directory)? {
            Some(place) => place,
            None => {
                let permit = permit.map_or_else(|| self.permit(), Ok)?;
                let path = self.open_again(fd, libc::O_PATH).map_err(opened)?;
                Place::Descriptor(Descriptor::new(path, permit))
            }
        };
        let node = self.table.insert(ids, kind, place, is_same);
        Ok(self.entry(parent, &node, &status))
    }

    /// What the client is told of `node`, which has the attributes `status`.
    pub(super) fn entry(&self, parent: &Ids, node: &Node, status: &libc::statx) -> Entry {
        let mut attributes = self.as_client_sees(status);
        let elsewhere = parent.mount != node.ids.mount || parent.device != node.ids.device;
        attributes.attr.submount =
            elsewhere && node.is_directory() && self.options.announce_submounts;
        let timeout = self.options.entry_timeout.unwrap_or_else(|| self.options.timeout());
        Entry { inode: node.number, generation: 0, attributes, timeout }
    }

    /// The handle that an inode is got hold of by, if it has one that can be opened.
    ///
    /// # Errors
    /// It has not, and has to: EOPNOTSUPP.
    fn place_by_handle(
        &self,
        fd: BorrowedFd<'_>,
        ids: &Ids,
        kind: u32,
        directory: BorrowedFd<'_>,
    ) -> Result<Option<Place>> {
        let found = match self.options.file_handles {
            FileHandles::Never => return Ok(None),
            _ => self.by_handle_in_mount(fd, ids, kind, directory),
        };
        if found.is_none() && self.options.file_handles == FileHandles::Mandatory {
            self.mounts.refuse(ids.mount);
            return Err(Failure::EOPNOTSUPP);
        }
        Ok(found)
    }

    fn by_handle_in_mount(
        &self,
        fd: BorrowedFd<'_>,
        ids: &Ids,
        kind: u32,
        directory: BorrowedFd<'_>,
    ) -> Option<Place> {
        let (handle, mount) =
            name_to_handle(fd, c"").ok().filter(|(_, mount)| *mount == ids.mount)?;
        let mount = self.mounts.get(mount, handle.words(), ids.ino, || {
            let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
            // The directory is in the same mount, if nothing is mounted here.
            let is_in_mount =
                statx(directory, c"").is_ok_and(|status| status.stx_mnt_id == ids.mount);
            let there = is_in_mount.then(|| open_at(directory, c".", flags, 0).ok()).flatten();
            there.or_else(|| match kind {
                libc::S_IFDIR => open_at(fd, c".", flags, 0).ok(),
                libc::S_IFREG => self.open_again(fd, flags).ok(),
                _ => None,
            })
        })?;
        Some(Place::Handle { mount, handle: handle.words().into() })
    }

    /// `.`: an inode that is known, once more.
    pub(super) fn look_at(&self, node: &Arc<Node>) -> Result<Entry> {
        let status = statx(self.reach(node)?.as_fd(), c"")?;
        if node.number != Inode::ROOT && !self.table.refer(node.number) {
            return Err(Failure::ESTALE);
        }
        Ok(self.entry(&node.ids, node, &status))
    }

    /// `..`: of directories, and only if it is known: so nothing outside is found.
    fn look_up_parent(&self, node: &Arc<Node>) -> Result<Looked> {
        if node.number == Inode::ROOT {
            return self.look_at(node).map(Looked::Found);
        }
        if !node.is_directory() {
            return Err(Failure::Errno(libc::ENOTDIR));
        }
        let reached = self.reach(node)?;
        let fd = open_at(reached.as_fd(), c"..", PATH | libc::O_DIRECTORY, 0).map_err(opened)?;
        let status = statx(fd.as_fd(), c"")?;
        let ids = Ids::of(&status);
        if ids == self.root.ids {
            return Ok(Looked::Found(self.entry(&ids, &self.root, &status)));
        }
        let parent = self
            .table
            .find(&ids)
            .filter(|parent| parent.is_held() || has_handle(parent, fd.as_fd(), c""));
        match parent {
            Some(parent) if self.table.refer(parent.number) => {
                Ok(Looked::Found(self.entry(&ids, &parent, &status)))
            }
            _ => Err(Failure::ESTALE),
        }
    }
}

/// Whether `name` in `directory` has the handle of `node`, in the same mount.
fn has_handle(node: &Node, directory: BorrowedFd<'_>, name: &CStr) -> bool {
    let Place::Handle { mount, handle } = &node.place else { return false };
    let found = name_to_handle(directory, name);
    found.is_ok_and(|(found, number)| number == mount.number && found.words() == &**handle)
}

/// Whether an inode of the same numbers is the same one as what `place` leads to.
fn is_same(node: &Node, place: &Place) -> bool {
    match (&node.place, place) {
        (Place::Handle { handle, .. }, Place::Handle { handle: other, .. }) => handle == other,
        // A descriptor is open, so its numbers are nobody else's.
        _ => node.is_held(),
    }
}

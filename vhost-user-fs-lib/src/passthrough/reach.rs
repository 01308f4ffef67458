// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Ways to an inode: to a descriptor that stands for it, and to one that it is open by.

use std::ffi::CStr;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use libc::c_int;

use super::Passthrough;
use super::descriptors::{Descriptor, Permit};
use super::inode::{Node, Place, Reached};
use crate::filesystem::{Failure, Inode, Result};
use crate::sys::open::{name_to_handle, open_at, open_by_handle};

/// A number in decimal digits with a NUL, to be a name in /proc/self/fd.
#[derive(Debug)]
pub(super) struct Digits([u8; 12]);

impl Digits {
    pub(super) fn of(fd: BorrowedFd<'_>) -> Self {
        let mut digits = [0; 12];
        // The longest has 10 digits; the last byte is never written.
        let _ = write!(&mut digits[..11], "{}", fd.as_raw_fd());
        Self(digits)
    }

    pub(super) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"")
    }
}

impl Passthrough {
    /// The inode of a number.
    pub(super) fn node(&self, inode: Inode) -> Result<Arc<Node>> {
        if inode == Inode::ROOT {
            return Ok(Arc::clone(&self.root));
        }
        self.table.get(inode).ok_or(Failure::ESTALE)
    }

    /// The directory of a number.
    pub(super) fn directory(&self, inode: Inode) -> Result<Arc<Node>> {
        let node = self.node(inode)?;
        if node.is_directory() { Ok(node) } else { Err(Failure::Errno(libc::ENOTDIR)) }
    }

    /// A descriptor with O_PATH.
    pub(super) fn reach<'n>(&self, node: &'n Arc<Node>) -> Result<Reached<'n>> {
        let (mount, handle) = match &node.place {
            Place::Descriptor(descriptor) => return Ok(Reached::Own(descriptor.as_fd())),
            Place::Handle { mount, handle } => (mount, handle),
        };
        if let Some(held) = node.held() {
            return Ok(Reached::Held(held));
        }
        let fd = open_by_handle(mount.as_fd(), handle, libc::O_PATH | libc::O_NOFOLLOW);
        let fd = fd.map_err(opened)?;
        if !self.held.is_on() {
            return Ok(Reached::Opened(fd));
        }
        let Some(permit) = self.budget.take() else { return Ok(Reached::Opened(fd)) };
        let descriptor = Arc::new(Descriptor::new(fd, permit));
        self.held.keep(node, &descriptor);
        Ok(Reached::Held(descriptor))
    }

    /// Opens a regular file or a directory to be read or written, and nothing else.
    pub(super) fn open_node(&self, node: &Node, flags: c_int) -> Result<OwnedFd> {
        match node.kind {
            libc::S_IFREG | libc::S_IFDIR => {}
            libc::S_IFLNK => return Err(Failure::Errno(libc::ELOOP)),
            // As a file system says it of a device that it does not let be opened.
            _ => return Err(Failure::Errno(libc::ENXIO)),
        }
        let flags = flags | libc::O_NONBLOCK | libc::O_NOCTTY;
        let fd = match &node.place {
            Place::Handle { mount, handle } => {
                open_by_handle(mount.as_fd(), handle, flags | libc::O_NOFOLLOW)
            }
            Place::Descriptor(descriptor) => self.open_again(descriptor.as_fd(), flags),
        };
        fd.map_err(opened)
    }

    /// Opens what a descriptor stands for, which the caller knows the type of.
    pub(super) fn open_again(&self, fd: BorrowedFd<'_>, flags: c_int) -> io::Result<OwnedFd> {
        match &self.self_fds {
            Some(self_fds) => open_at(self_fds.as_fd(), Digits::of(fd).as_c_str(), flags, 0),
            // Of a directory there is another way.
            None => open_at(fd, c".", flags, 0),
        }
    }

    /// The right to hold one more descriptor.
    pub(super) fn permit(&self) -> Result<Permit> {
        loop {
            if let Some(permit) = self.budget.take() {
                return Ok(permit);
            }
            if !self.held.give_up_one() {
                return Err(Failure::ENFILE);
            }
        }
    }

    /// Tries out whether the root can be opened by a handle.
    pub(super) fn try_handles(&self) -> io::Result<()> {
        let Place::Descriptor(root) = &self.root.place else { return Ok(()) };
        let (handle, _) = name_to_handle(root.as_fd(), c"")?;
        let mount = self.open_again(root.as_fd(), libc::O_RDONLY | libc::O_NONBLOCK)?;
        open_by_handle(mount.as_fd(), handle.words(), libc::O_PATH).map(drop)
    }
}

/// What the client is told if a file could not be opened: that it is us who have too many files open means
/// nothing to it.
pub(super) fn opened(error: io::Error) -> Failure {
    match error.raw_os_error() {
        Some(libc::EMFILE) => Failure::ENFILE,
        _ => error.into(),
    }
}

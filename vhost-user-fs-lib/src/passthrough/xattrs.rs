// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR.

use std::borrow::Cow;
use std::ffi::CStr;
use std::io;
use std::os::fd::AsFd;

use super::Passthrough;
use super::acl::{self, Way};
use super::reach::Digits;
use super::session::is_in_self_fds;
use crate::filesystem::{Context, Failure, InitFlags, Inode, Result, Xattr};
use crate::sys::xattr::{self, Of};

/// The longest value and the longest list (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`), in bytes.
const LONGEST: usize = 1 << 16;

impl Passthrough {
    pub(super) fn write_xattr(
        &self,
        context: &Context,
        inode: Inode,
        name: &CStr,
        value: &[u8],
        flags: u32,
        kill_sgid: bool,
    ) -> Result<()> {
        let name = self.host_name(name)?;
        let flags = flags.cast_signed();
        if flags & !(libc::XATTR_CREATE | libc::XATTR_REPLACE) != 0 {
            return Err(Failure::EINVAL);
        }
        let value = match acl::is_acl(&name) {
            true => acl::translate(value, Way::ToHost, &self.options.ids)?,
            false => Cow::Borrowed(value),
        };
        self.with_xattrs(inode, |of| {
            let set = || xattr::set(of, &name, &value, flags);
            match kill_sgid {
                true => self.killing_sgid(context, set),
                false => Ok(set()?),
            }
        })
    }

    pub(super) fn read_xattr(&self, inode: Inode, name: &CStr, size: u32) -> Result<Xattr> {
        let name = self.host_name(name)?;
        let room = usize::try_from(size).map_or(LONGEST, |size| size.min(LONGEST));
        let mut value = vec![0; room];
        let len = self.on_xattrs(inode, |of| xattr::get(of, &name, &mut value))?;
        if size == 0 {
            return size_of(len);
        }
        value.truncate(len);
        if acl::is_acl(&name) {
            value = acl::translate(&value, Way::ToClient, &self.options.ids)?.into_owned();
        }
        Ok(Xattr::Value(value))
    }

    pub(super) fn list_names(&self, inode: Inode, size: u32) -> Result<Xattr> {
        self.xattrs_are_on()?;
        let mut names = vec![0; LONGEST];
        let len = self.on_xattrs(inode, |of| xattr::list(of, &mut names))?;
        names.truncate(len);
        let mut told = Vec::new();
        for name in names.split_inclusive(|byte| *byte == 0) {
            let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
            let hidden = acl::is_acl(name) && !self.has(InitFlags::POSIX_ACL);
            let seen = self.options.xattr_map.to_client(name.to_bytes());
            if let Some(seen) = seen.filter(|_| !hidden) {
                told.extend_from_slice(seen);
                told.push(0);
            }
        }
        match usize::try_from(size) {
            Ok(0) => size_of(told.len()),
            Ok(size) if told.len() > size => Err(Failure::ERANGE),
            _ => Ok(Xattr::Value(told)),
        }
    }

    pub(super) fn delete_xattr(&self, inode: Inode, name: &CStr) -> Result<()> {
        let name = self.host_name(name)?;
        self.on_xattrs(inode, |of| xattr::remove(of, &name))
    }

    /// Does something to the attributes of an inode, without opening it: as /proc/self/fd has it, which is
    /// the current directory of each thread that serves requests.
    pub(super) fn on_xattrs<T>(
        &self,
        inode: Inode,
        act: impl FnOnce(Of<'_>) -> io::Result<T>,
    ) -> Result<T> {
        self.with_xattrs(inode, |of| Ok(act(of)?))
    }

    fn with_xattrs<T>(&self, inode: Inode, act: impl FnOnce(Of<'_>) -> Result<T>) -> Result<T> {
        let node = self.node(inode)?;
        if is_in_self_fds() {
            let reached = self.reach(&node)?;
            return act(Of::Path(Digits::of(reached.as_fd()).as_c_str()));
        }
        if !node.is_regular() && !node.is_directory() {
            return Err(Failure::EOPNOTSUPP);
        }
        let file = self.open_node(&node, libc::O_RDONLY)?;
        act(Of::File(file.as_fd()))
    }

    /// What the host calls an attribute.
    fn host_name<'n>(&self, name: &'n CStr) -> Result<Cow<'n, CStr>> {
        self.xattrs_are_on()?;
        let name = self.options.xattr_map.to_host(name)?;
        // Who does not honour them must not see or change them.
        if acl::is_acl(&name) && !self.has(InitFlags::POSIX_ACL) {
            return Err(Failure::EOPNOTSUPP);
        }
        Ok(name)
    }

    fn xattrs_are_on(&self) -> Result<()> {
        if self.options.xattr { Ok(()) } else { Err(Failure::ENOSYS) }
    }
}

fn size_of(len: usize) -> Result<Xattr> {
    u32::try_from(len).map(Xattr::Size).map_err(|_| Failure::ERANGE)
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! GETATTR, SETATTR, STATFS, ACCESS, READLINK.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::Passthrough;
use super::inode::Node;
use super::reach::Digits;
use crate::filesystem::{
    Attr, Attributes, Context, Failure, Handle, Inode, NewTime, Result, SetAttr, Statfs, Time,
};
use crate::sys::attributes::{
    NOW, OMIT, fchmod, fchmod_path, fchmodat, fchown, ftruncate, utimens,
};
use crate::sys::names::readlink;
use crate::sys::status::{statfs, statx};

impl Passthrough {
    pub(super) fn attributes_of(&self, inode: Inode, handle: Option<Handle>) -> Result<Attributes> {
        let status = match handle.and_then(|handle| self.handles.get(inode, handle).ok()) {
            Some(open) => statx(open.as_fd(), c"")?,
            None => statx(self.reach(&self.node(inode)?)?.as_fd(), c"")?,
        };
        Ok(self.as_client_sees(&status))
    }

    pub(super) fn change_attributes(
        &self,
        inode: Inode,
        handle: Option<Handle>,
        changes: &SetAttr,
    ) -> Result<Attributes> {
        let node = self.node(inode)?;
        let open = handle.and_then(|handle| self.handles.get(inode, handle).ok());
        let reached;
        let fd = match &open {
            Some(open) => open.as_fd(),
            None => {
                reached = self.reach(&node)?;
                reached.as_fd()
            }
        };
        if let Some(size) = changes.size {
            self.truncate(&node, open.as_ref().map(AsFd::as_fd), size, changes.kill_suid_sgid)?;
        }
        if changes.uid.is_some() || changes.gid.is_some() {
            let ids = &self.options.ids;
            let uid = changes.uid.map_or(Ok(u32::MAX), |uid| ids.uid.to_host(uid))?;
            let gid = changes.gid.map_or(Ok(u32::MAX), |gid| ids.gid.to_host(gid))?;
            self.killing(changes.kill_suid_sgid, || fchown(fd, uid, gid))?;
        }
        // After the owner, whose change clears bits of it.
        if let Some(mode) = changes.mode {
            self.chmod(fd, open.is_some(), mode & 0o7777)?;
        }
        if changes.atime.is_some() || changes.mtime.is_some() {
            utimens(fd, &[timespec(changes.atime)?, timespec(changes.mtime)?])?;
        }
        Ok(self.as_client_sees(&statx(fd, c"")?))
    }

    fn truncate(
        &self,
        node: &Arc<Node>,
        open: Option<BorrowedFd<'_>>,
        size: u64,
        kill: bool,
    ) -> Result<()> {
        if node.is_directory() {
            return Err(Failure::Errno(libc::EISDIR));
        }
        if !node.is_regular() {
            return Err(Failure::EINVAL);
        }
        if let Some(open) = open {
            match self.killing(kill, || ftruncate(open, size)) {
                // It is open for reading alone.
                Err(Failure::EINVAL | Failure::EBADF) => {}
                result => return result,
            }
        }
        let file = self.open_node(node, libc::O_WRONLY)?;
        self.killing(kill, || ftruncate(file.as_fd(), size))
    }

    fn chmod(&self, fd: BorrowedFd<'_>, is_open: bool, mode: u32) -> Result<()> {
        if is_open {
            return Ok(fchmod(fd, mode)?);
        }
        match (fchmod_path(fd, mode), &self.self_fds) {
            (Err(error), Some(self_fds)) if error.raw_os_error() == Some(libc::ENOSYS) => {
                Ok(fchmodat(self_fds.as_fd(), Digits::of(fd).as_c_str(), mode)?)
            }
            (result, _) => Ok(result?),
        }
    }

    pub(super) fn target_of(&self, inode: Inode) -> Result<Vec<u8>> {
        let node = self.node(inode)?;
        if node.kind != libc::S_IFLNK {
            return Err(Failure::EINVAL);
        }
        let mut target = vec![0; libc::PATH_MAX.unsigned_abs() as usize];
        let len = readlink(self.reach(&node)?.as_fd(), &mut target)?;
        target.truncate(len);
        Ok(target)
    }

    pub(super) fn statfs_of(&self, inode: Inode) -> Result<Statfs> {
        let node = self.node(inode)?;
        let status = statfs(self.reach(&node)?.as_fd())?;
        let small = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        #[expect(clippy::useless_conversion, reason = "their types depend on the architecture")]
        Ok(Statfs {
            blocks: status.f_blocks,
            bfree: status.f_bfree,
            bavail: status.f_bavail,
            files: status.f_files,
            ffree: status.f_ffree,
            bsize: small(status.f_bsize.into()),
            namelen: small(status.f_namelen.into()),
            frsize: small(status.f_frsize.into()),
        })
    }

    /// By the mode alone: who has other groups or an ACL is judged by the client's kernel.
    pub(super) fn may_access(&self, context: &Context, inode: Inode, mask: u32) -> Result<()> {
        let attr = self.attributes_of(inode, None)?.attr;
        let caller = context.caller;
        let wanted = mask & 0o7;
        let granted = if caller.uid == attr.uid {
            attr.mode >> 6
        } else if caller.gid == attr.gid {
            attr.mode >> 3
        } else {
            attr.mode
        };
        let executable = attr.mode & 0o111 != 0 || attr.mode & libc::S_IFMT == libc::S_IFDIR;
        let granted = match caller.uid {
            0 if executable => 0o7,
            0 => 0o6,
            _ => granted,
        };
        if wanted & 0o2 != 0 && self.options.read_only {
            return Err(Failure::EROFS);
        }
        if wanted & !granted == 0 { Ok(()) } else { Err(Failure::EACCES) }
    }

    /// Attributes with users and groups in the client's numbers.
    pub(super) fn as_client_sees(&self, status: &libc::statx) -> Attributes {
        let time =
            |time: &libc::statx_timestamp| Time { seconds: time.tv_sec, nanoseconds: time.tv_nsec };
        let (major, minor) = (status.stx_rdev_major, status.stx_rdev_minor);
        let has_birth = status.stx_mask & libc::STATX_BTIME != 0;
        let attr = Attr {
            ino: status.stx_ino,
            size: status.stx_size,
            blocks: status.stx_blocks,
            atime: time(&status.stx_atime),
            mtime: time(&status.stx_mtime),
            ctime: time(&status.stx_ctime),
            btime: has_birth.then(|| time(&status.stx_btime)),
            mode: status.stx_mode.into(),
            nlink: status.stx_nlink,
            uid: self.options.ids.uid.to_client(status.stx_uid),
            gid: self.options.ids.gid.to_client(status.stx_gid),
            rdev: (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12,
            blksize: status.stx_blksize,
            submount: false,
        };
        let timeout = self.options.attr_timeout.unwrap_or_else(|| self.options.timeout());
        Attributes { attr, timeout }
    }
}

fn timespec(time: Option<NewTime>) -> io::Result<libc::timespec> {
    Ok(match time {
        None => OMIT,
        Some(NewTime::Now) => NOW,
        Some(NewTime::At(Time { seconds, nanoseconds })) if nanoseconds < 1_000_000_000 => {
            libc::timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() }
        }
        Some(NewTime::At(_)) => return Err(io::Error::from_raw_os_error(libc::EINVAL)),
    })
}

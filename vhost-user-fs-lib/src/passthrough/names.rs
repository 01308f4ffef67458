// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! LINK, UNLINK, RMDIR, RENAME.

use std::os::fd::AsFd;

use libc::c_int;

use super::Passthrough;
use super::reach::Digits;
use crate::filesystem::{Entry, Failure, Inode, Name, Result};
use crate::sys::names::{linkat, renameat2, unlinkat};

const RENAMES: u32 = libc::RENAME_NOREPLACE | libc::RENAME_EXCHANGE | libc::RENAME_WHITEOUT;

impl Passthrough {
    pub(super) fn add_name(&self, inode: Inode, parent: Inode, name: Name<'_>) -> Result<Entry> {
        let (node, directory) = (self.node(inode)?, self.directory(parent)?);
        let (from, to) = (self.reach(&node)?, self.reach(&directory)?);
        let to = (to.as_fd(), name.as_c_str());
        match linkat((from.as_fd(), c""), to, libc::AT_EMPTY_PATH) {
            // Without CAP_DAC_READ_SEARCH a descriptor is not enough.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                let self_fds = self.self_fds.as_ref().ok_or(Failure::EPERM)?;
                let digits = Digits::of(from.as_fd());
                linkat((self_fds.as_fd(), digits.as_c_str()), to, libc::AT_SYMLINK_FOLLOW)?;
            }
            result => result?,
        }
        self.look_at(&node)
    }

    /// `flags`: AT_REMOVEDIR for a directory.
    pub(super) fn remove_name(&self, parent: Inode, name: Name<'_>, flags: c_int) -> Result<()> {
        let directory = self.directory(parent)?;
        Ok(unlinkat(self.reach(&directory)?.as_fd(), name.as_c_str(), flags)?)
    }

    pub(super) fn move_name(
        &self,
        from: (Inode, Name<'_>),
        to: (Inode, Name<'_>),
        flags: u32,
    ) -> Result<()> {
        if flags & !RENAMES != 0 {
            return Err(Failure::EINVAL);
        }
        let (old, new) = (self.directory(from.0)?, self.directory(to.0)?);
        let (old, new) = (self.reach(&old)?, self.reach(&new)?);
        let (old, new) = ((old.as_fd(), from.1.as_c_str()), (new.as_fd(), to.1.as_c_str()));
        Ok(renameat2(old, new, flags)?)
    }
}

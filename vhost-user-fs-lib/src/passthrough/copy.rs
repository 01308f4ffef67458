// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! COPY_FILE_RANGE.

use std::os::fd::AsFd;

use super::Passthrough;
use super::space::may_wait;
use crate::filesystem::{Context, Failure, Handle, InitFlags, Inode, Result};
use crate::sys::space::copy_range;

/// The most that is copied in one go, so that a thread comes back in a while.
const MOST: u64 = 1 << 30;

impl Passthrough {
    pub(super) fn copy(
        &self,
        context: &Context,
        from: (Inode, Handle, u64),
        to: (Inode, Handle, u64),
        len: u64,
        flags: u64,
    ) -> Result<u64> {
        if flags != 0 {
            return Err(Failure::EINVAL);
        }
        let source = self.open_file_of(from.0, from.1)?;
        let target = self.open_file_of(to.0, to.1)?;
        may_wait(context)?;
        let len = usize::try_from(len.min(MOST)).map_err(|_| Failure::EINVAL)?;
        let copy = || copy_range((source.as_fd(), from.2), (target.as_fd(), to.2), len);
        // As a write would: who may not keep the bits does not.
        match self.killing(self.has(InitFlags::HANDLE_KILLPRIV_V2), copy) {
            Ok(copied) => Ok(copied as u64),
            // ENOSYS would have the client never ask again, for no file.
            Err(Failure::ENOSYS) => Err(Failure::EOPNOTSUPP),
            Err(failure) => Err(failure),
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Extended attributes.

use super::refusal::{Refusal, Served};
use super::texts::{self, Texts};
use super::{Call, Server};
use crate::filesystem::{FileSystem, InitFlags, Xattr};
use crate::fuse::{GetxattrIn, GetxattrOut, SetxattrExt, SetxattrIn};

/// The largest value, and the longest list of names, in bytes (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const LARGEST: u32 = 64 * 1024;

impl<F: FileSystem> Server<F> {
    pub(super) fn setxattr(&self, call: &mut Call<'_>) -> Served {
        let SetxattrIn { size, flags } = call.request.take()?;
        let ext = if self.session.has(InitFlags::SETXATTR_EXT) {
            call.request.take()?
        } else {
            SetxattrExt::default()
        };
        let room = call.answer.room()?;
        if size > LARGEST {
            return Err(Refusal::Errno(libc::E2BIG));
        }
        let len = usize::try_from(size).unwrap_or(usize::MAX);
        let tail = call.request.tail(len.saturating_add(texts::LONGEST))?;
        let mut texts = Texts(tail.bytes());
        let name = texts.xattr()?;
        let value = texts.value(len)?;
        let kill = ext.setxattr_flags & SetxattrExt::ACL_KILL_SGID != 0;
        self.fs.set_xattr(&call.context, call.inode(), name, value, flags, kill)?;
        room.fill(&())
    }

    pub(super) fn getxattr(&self, call: &mut Call<'_>) -> Served {
        let GetxattrIn { size, .. } = call.request.take()?;
        call.answer.room::<()>()?;
        let tail = call.request.tail(texts::LONGEST)?;
        let name = Texts(tail.bytes()).xattr()?;
        let size = size.min(LARGEST);
        let found = self.fs.get_xattr(&call.context, call.inode(), name, size)?;
        answer(call, &found, size)
    }

    pub(super) fn listxattr(&self, call: &mut Call<'_>) -> Served {
        let GetxattrIn { size, .. } = call.request.take()?;
        call.answer.room::<()>()?;
        let size = size.min(LARGEST);
        let found = self.fs.list_xattrs(&call.context, call.inode(), size)?;
        answer(call, &found, size)
    }

    pub(super) fn removexattr(&self, call: &mut Call<'_>) -> Served {
        let room = call.answer.room()?;
        let tail = call.request.tail(texts::LONGEST)?;
        let name = Texts(tail.bytes()).xattr()?;
        self.fs.remove_xattr(&call.context, call.inode(), name)?;
        room.fill(&())
    }
}

/// A size is the answer to who asks for no bytes, and to nobody else: it could be taken for a value.
fn answer(call: &Call<'_>, found: &Xattr, size: u32) -> Served {
    match found {
        Xattr::Size(found) if size == 0 => {
            call.answer.room()?.fill(&GetxattrOut { size: *found, padding: 0 })
        }
        Xattr::Value(value)
            if size > 0 && u32::try_from(value.len()).is_ok_and(|len| len <= size) =>
        {
            call.answer.bytes(value)
        }
        Xattr::Value(_) if size > 0 => Err(Refusal::Errno(libc::ERANGE)),
        _ => Err(Refusal::Errno(libc::EIO)),
    }
}

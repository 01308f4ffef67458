// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! IOCTL.

use super::refusal::{Malformed, Refusal, Served};
use super::{Call, Server};
use crate::filesystem::{FileSystem, Handle};
use crate::fuse::{IoctlIn, IoctlOut, Wire};

/// The largest argument in bytes: a command has 14 bits for its size.
const LARGEST: u32 = (1 << 14) - 1;

impl<F: FileSystem> Server<F> {
    pub(super) fn ioctl(&self, call: &mut Call<'_>) -> Served {
        let IoctlIn { fh, flags, cmd, in_size, out_size, .. } = call.request.take()?;
        call.answer.room::<IoctlOut>()?;
        if flags & IoctlIn::UNRESTRICTED != 0 {
            // Commands whose arguments nobody knows are for character devices.
            return Err(Refusal::Errno(libc::ENOTTY));
        }
        let size = in_size.max(out_size);
        if size > LARGEST {
            return Err(
                Malformed::Value { what: "an argument's size of", value: size.into() }.into()
            );
        }
        let mut input = vec![0; usize::try_from(in_size).unwrap_or_default()];
        call.request.copy(&mut input)?;
        let left = call.answer.payload().saturating_sub(IoctlOut::SIZE);
        let room = usize::try_from(out_size).unwrap_or_default().min(left);
        let (inode, handle) = (call.inode(), Handle(fh));
        let output = self.fs.ioctl(&call.context, inode, handle, cmd, &input, room)?;
        let output = output.get(..room).unwrap_or(&output);

        let mut head = [0; IoctlOut::SIZE];
        IoctlOut::default().put(&mut head.as_mut_slice());
        call.answer.put(0, &head)?;
        call.answer.put(head.len(), output)?;
        call.answer.in_place(head.len() + output.len())
    }
}

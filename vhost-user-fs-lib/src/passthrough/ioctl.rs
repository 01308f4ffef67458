// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! IOCTL: the flags of a file, as chattr(1) sets them, and its project.

use std::os::fd::AsFd;

use super::Passthrough;
use crate::filesystem::{Failure, Handle, Inode, Result};
use crate::sys::space::{ARGUMENT, Control, control};

/// `struct fsxattr`.
const FSXATTR: usize = 28;
/// The flags are an `int`, although the number says `long`.
const FLAGS: usize = 4;

/// `_IOR('f', 1, ...)` and `_IOW('f', 2, ...)` of `int` and `long`, `_IOR('X', 31, ...)`, `_IOW('X', 32, ...)`.
const KNOWN: [(u32, Control, usize); 6] = [
    (0x8008_6601, Control::GetFlags, FLAGS),
    (0x8004_6601, Control::GetFlags, FLAGS),
    (0x4008_6602, Control::SetFlags, FLAGS),
    (0x4004_6602, Control::SetFlags, FLAGS),
    (0x801c_581f, Control::GetXattr, FSXATTR),
    (0x401c_5820, Control::SetXattr, FSXATTR),
];

/// `FS_PROJINHERIT_FL` and `FS_XFLAG_PROJINHERIT`: what is new in a directory is of its project.
const FLAG_INHERITS: u32 = 0x2000_0000;
const XFLAG_INHERITS: u32 = 0x200;

impl Passthrough {
    pub(super) fn control(
        &self,
        inode: Inode,
        handle: Handle,
        command: u32,
        input: &[u8],
        room: usize,
    ) -> Result<Vec<u8>> {
        let known = KNOWN.iter().find(|(number, ..)| *number == command);
        let (_, what, len) = *known.ok_or(Failure::Errno(libc::ENOTTY))?;
        let open = self.handles.get(inode, handle)?;
        let sets = matches!(what, Control::SetFlags | Control::SetXattr);
        if sets && self.options.read_only {
            return Err(Failure::EROFS);
        }
        let mut argument = [0; ARGUMENT];
        if sets {
            let said = input.get(..len).ok_or(Failure::EINVAL)?;
            argument.get_mut(..len).ok_or(Failure::EINVAL)?.copy_from_slice(said);
        }
        if let Some((get, project)) = project_of(what) {
            let mut current = [0; ARGUMENT];
            control(open.as_fd(), get, &mut current)?;
            // The quota of a project is the host's.
            if project(&argument) != project(&current) {
                return Err(Failure::EPERM);
            }
        }
        control(open.as_fd(), what, &mut argument)?;
        Ok(argument.get(..len.min(room)).filter(|_| !sets).unwrap_or_default().to_vec())
    }
}

/// What the argument of something that is set says of a project: whether it is inherited, and its number.
type Project = fn(&[u8; ARGUMENT]) -> (u32, u32);

/// How a file's project is found out, and what says it, where something is set that includes it.
fn project_of(set: Control) -> Option<(Control, Project)> {
    match set {
        Control::SetFlags => Some((Control::GetFlags, |argument| {
            let [flags, ..] = words(argument);
            (flags & FLAG_INHERITS, 0)
        })),
        Control::SetXattr => Some((Control::GetXattr, |argument| {
            let [flags, _, _, project, ..] = words(argument);
            (flags & XFLAG_INHERITS, project)
        })),
        Control::GetFlags | Control::GetXattr => None,
    }
}

fn words(argument: &[u8; ARGUMENT]) -> [u32; ARGUMENT / 4] {
    let (words, _) = argument.as_chunks();
    std::array::from_fn(|index| words.get(index).map_or(0, |word| u32::from_ne_bytes(*word)))
}

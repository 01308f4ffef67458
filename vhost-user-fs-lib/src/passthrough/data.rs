// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! READ and WRITE.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use libc::c_int;

use super::Passthrough;
use super::handles::{File, Open};
use super::mounts::Nature;
use crate::filesystem::{Context, Failure, Handle, InitFlags, Inode, Result, Writing};
use crate::transport::{Sink, Source};

/// Since Linux 6.9.
const RWF_NOAPPEND: c_int = 0x20;
const RWF_NOWAIT: c_int = 0x8;
const RWF_APPEND: c_int = 0x10;

/// A read that does not wait ends where a block is not in the page cache; elsewhere only the file ends.
const BLOCK: u64 = 512;

impl Passthrough {
    pub(super) fn read_file(
        &self,
        context: &Context,
        inode: Inode,
        handle: Handle,
        offset: u64,
        sink: &Sink<'_>,
    ) -> Result<usize> {
        let open = self.file_of(inode, handle)?;
        let file = open.file()?;
        let mut nowait = !context.may_wait;
        if nowait && let Some(nature) = file.no_nowait.get() {
            is_in_memory(*nature)?;
            nowait = false;
        }
        let mut done = 0;
        while done < sink.len() {
            let at = offset.checked_add(done as u64).ok_or(Failure::EINVAL)?;
            let flags = if nowait { RWF_NOWAIT } else { 0 };
            match sink.read_from(done, open.as_fd(), at, flags) {
                Ok(0) => break,
                Ok(read) => {
                    done += read;
                    let is_end = !nowait || !at.saturating_add(read as u64).is_multiple_of(BLOCK);
                    if is_end && done < sink.len() {
                        break;
                    }
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EOPNOTSUPP) if nowait => {
                        let nature = self.mounts.nature(file.device, open.as_fd());
                        is_in_memory(*file.no_nowait.get_or_init(|| nature))?;
                        nowait = false;
                    }
                    // EINVAL: this may be wrong with O_DIRECT, or it may be RWF_NOWAIT that is.
                    Some(libc::EAGAIN | libc::EINVAL) if nowait => return Err(Failure::WouldWait),
                    Some(libc::EINTR) => {}
                    _ if done > 0 => break,
                    _ => return Err(error.into()),
                },
            }
        }
        Ok(done)
    }

    pub(super) fn write_file(
        &self,
        context: &Context,
        place: (Inode, Handle, u64),
        source: &Source<'_>,
        writing: Writing,
    ) -> Result<usize> {
        let (inode, handle, offset) = place;
        let open = self.handles.get(inode, handle)?;
        let file = open.file()?;
        if file.waits && !context.may_wait {
            return Err(Failure::WouldWait);
        }
        file.written.store(true, Ordering::Relaxed);
        let flags = self.append_flags(file, writing);
        let kill = writing.kill_suid_sgid;
        let write =
            |fd: BorrowedFd<'_>, flags| self.killing(kill, || write_all(source, fd, offset, flags));
        match write(open.as_fd(), flags) {
            // Before Linux 6.9 only a descriptor without O_APPEND writes elsewhere than at the end.
            Err(Failure::EOPNOTSUPP | Failure::EINVAL) if flags == RWF_NOAPPEND => {
                let node = self.node(inode)?;
                write(self.open_node(&node, libc::O_WRONLY)?.as_fd(), 0)
            }
            result => result,
        }
    }

    /// Whether this is appended or not, where that is not what the file was opened for: the client may
    /// have changed its flags, and its page cache writes where the page was.
    fn append_flags(&self, file: &File, writing: Writing) -> c_int {
        let asked = writing.flags.cast_signed() & libc::O_APPEND != 0;
        let appends = asked && !writing.from_cache && !self.has(InitFlags::WRITEBACK_CACHE);
        match (file.appends, appends) {
            (true, false) => RWF_NOAPPEND,
            (false, true) => RWF_APPEND,
            _ => 0,
        }
    }

    /// The two files of COPY_FILE_RANGE, or the one of something else.
    pub(super) fn open_file_of(&self, inode: Inode, handle: Handle) -> Result<Arc<Open>> {
        let open = self.file_of(inode, handle)?;
        open.file()?;
        Ok(open)
    }
}

/// What is read where nothing may wait, and not with RWF_NOWAIT, has to be in memory.
fn is_in_memory(nature: Nature) -> Result<()> {
    if nature.is_memory { Ok(()) } else { Err(Failure::WouldWait) }
}

fn write_all(
    source: &Source<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    flags: c_int,
) -> io::Result<usize> {
    let mut done = 0;
    while done < source.len() {
        let Some(at) = offset.checked_add(done as u64) else {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        };
        match source.write_to(done, file, at, flags) {
            Ok(0) => break,
            Ok(written) => done += written,
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

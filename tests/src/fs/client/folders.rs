// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Requests about a folder that is open.

use super::{Dirent, FsClient, Opened, Reply};
use crate::fs::wire::{Body, opcode};

impl FsClient {
    /// OPENDIR.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn opendir(&mut self, node: u64) -> Reply<Opened> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let body = Body::new().u32s(&[flags.cast_unsigned(), 0]).finish();
        self.request(opcode::OPENDIR, node, &body, 16).map(|reply| Opened::alone(&reply))
    }

    /// READDIR of as many names as `len` bytes have room for.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn readdir(&mut self, node: u64, fh: u64, offset: u64, len: usize) -> Reply<Vec<Dirent>> {
        let body = Self::read_body(fh, offset, len);
        let reply = self.request(opcode::READDIR, node, &body, len)?;
        Ok(Dirent::all(&reply, false))
    }

    /// READDIRPLUS of as many names as `len` bytes have room for.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn readdirplus(
        &mut self,
        node: u64,
        fh: u64,
        offset: u64,
        len: usize,
    ) -> Reply<Vec<Dirent>> {
        let body = Self::read_body(fh, offset, len);
        let reply = self.request(opcode::READDIRPLUS, node, &body, len)?;
        Ok(Dirent::all(&reply, true))
    }

    /// All names of a folder but `.` and `..`, in their order: OPENDIR, READDIR and RELEASEDIR.
    ///
    /// # Errors
    /// The errno in the reply to the first that failed.
    #[track_caller]
    pub fn list(&mut self, node: u64) -> Reply<Vec<String>> {
        let fh = self.opendir(node)?.fh;
        let (mut names, mut offset) = (Vec::new(), 0);
        loop {
            let some = self.readdir(node, fh, offset, 4096)?;
            let Some(last) = some.last() else { break };
            offset = last.offset;
            names.extend(some.into_iter().map(|name| String::from_utf8_lossy(&name.name).into()));
        }
        self.releasedir(node, fh)?;
        names.retain(|name| name != "." && name != "..");
        names.sort();
        Ok(names)
    }

    /// RELEASEDIR.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn releasedir(&mut self, node: u64, fh: u64) -> Reply<()> {
        let body = Body::new().u64s(&[fh]).u32s(&[0, 0]).u64s(&[0]).finish();
        self.request(opcode::RELEASEDIR, node, &body, 0).map(drop)
    }

    /// FSYNCDIR.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn fsyncdir(&mut self, node: u64, fh: u64) -> Reply<()> {
        let body = Body::new().u64s(&[fh]).u32s(&[0, 0]).finish();
        self.request(opcode::FSYNCDIR, node, &body, 0).map(drop)
    }
}

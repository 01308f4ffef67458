// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The beginning and the end of a session, and what is forgotten in between.

use super::{FsClient, InitReply, Reply, Statfs};
use crate::fs::wire::{Body, INIT, MAJOR, MINOR, ROOT, init, opcode};

/// What a kernel of Linux 6.12 offers to a file system device.
pub const GUEST: u64 = init::ASYNC_READ
    | init::POSIX_LOCKS
    | init::ATOMIC_O_TRUNC
    | init::EXPORT_SUPPORT
    | init::BIG_WRITES
    | init::DONT_MASK
    | init::FLOCK_LOCKS
    | init::HAS_IOCTL_DIR
    | init::AUTO_INVAL_DATA
    | init::DO_READDIRPLUS
    | init::READDIRPLUS_AUTO
    | init::ASYNC_DIO
    | init::WRITEBACK_CACHE
    | init::NO_OPEN_SUPPORT
    | init::PARALLEL_DIROPS
    | init::HANDLE_KILLPRIV
    | init::POSIX_ACL
    | init::ABORT_ERROR
    | init::MAX_PAGES
    | init::CACHE_SYMLINKS
    | init::NO_OPENDIR_SUPPORT
    | init::EXPLICIT_INVAL_DATA
    | init::SUBMOUNTS
    | init::HANDLE_KILLPRIV_V2
    | init::SETXATTR_EXT
    | init::INIT_EXT
    | init::SECURITY_CTX
    | init::CREATE_SUPP_GROUP
    | init::HAS_EXPIRE_ONLY
    | init::DIRECT_IO_ALLOW_MMAP
    | init::NO_EXPORT_SUPPORT
    | init::ALLOW_IDMAP;

impl FsClient {
    /// INIT, as a guest's kernel says it.
    #[track_caller]
    pub fn init(&mut self) -> InitReply {
        self.init_with(GUEST).expect("a reply to INIT")
    }

    /// INIT with these flags offered.
    ///
    /// # Errors
    /// The errno in the reply.
    ///
    /// # Panics
    /// When flags are agreed on that were not offered.
    #[track_caller]
    pub fn init_with(&mut self, flags: u64) -> Reply<InitReply> {
        let body = Self::init_body(MAJOR, MINOR, flags);
        let reply = self.request(opcode::INIT, 0, &body, INIT)?;
        let reply = InitReply::of(&reply);
        let more = reply.flags & !flags;
        assert_eq!(more, 0, "flags that were not offered: {more:#x}");
        self.agreed = reply.flags;
        Ok(reply)
    }

    /// The body of an INIT.
    pub fn init_body(major: u32, minor: u32, flags: u64) -> Vec<u8> {
        /// What a kernel reads ahead at most, in bytes.
        const READAHEAD: u32 = 1 << 20;
        let [low, high] = [flags & 0xffff_ffff, flags >> 32].map(u32::try_from);
        let [low, high] = [low, high].map(|word| word.expect("half of 64 bits"));
        let body = Body::new().u32s(&[major, minor, READAHEAD, low, high]);
        body.u32s(&[0; 11]).finish()
    }

    /// What INIT agreed on.
    pub fn agreed(&self) -> u64 {
        self.agreed
    }

    /// DESTROY.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn destroy(&mut self) -> Reply<()> {
        self.request(opcode::DESTROY, 0, &[], 0).map(drop)
    }

    /// FORGET on the high-priority queue: `count` replies about the node are forgotten. There is no
    /// reply; returns when the device has taken it.
    #[track_caller]
    pub fn forget(&mut self, node: u64, count: u64) {
        let message = self.message(opcode::FORGET, node, &Body::new().u64s(&[count]).finish());
        let ticket = self.submit(0, &message, 0);
        self.wait(ticket);
    }

    /// BATCH_FORGET: nodes, each with the number of replies that are forgotten.
    #[track_caller]
    pub fn batch_forget(&mut self, all: &[(u64, u64)]) {
        let count = u32::try_from(all.len()).expect("a number of nodes");
        let body = Body::new().u32s(&[count, 0]);
        let body = all.iter().fold(body, |body, (node, count)| body.u64s(&[*node, *count]));
        let message = self.message(opcode::BATCH_FORGET, 0, &body.finish());
        let ticket = self.submit(0, &message, 0);
        self.wait(ticket);
    }

    /// STATFS of the file system where the node is.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn statfs(&mut self, node: u64) -> Reply<Statfs> {
        self.request(opcode::STATFS, node, &[], 80).map(|reply| Statfs::of(&reply))
    }

    /// SYNCFS of all.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn syncfs(&mut self) -> Reply<()> {
        let body = Body::new().u64s(&[0]).finish();
        self.request(opcode::SYNCFS, ROOT, &body, 0).map(drop)
    }
}

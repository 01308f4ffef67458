// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! From INIT to the end: what was agreed on, and how all of it is given up.

use std::cell::Cell;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use vhost_user_device::RateLimit;

use super::{Cache, Passthrough, Wanted};
use crate::filesystem::{Failure, InitFlags, Result};
use crate::sys::thread::set_directory;

/// The flags that are in use.
#[derive(Debug)]
pub(super) struct Agreed {
    flags: AtomicU64,
    /// Of clients that lack something, which may say INIT without end.
    complaints: RateLimit,
}

impl Default for Agreed {
    fn default() -> Self {
        Self { flags: AtomicU64::new(0), complaints: RateLimit::new() }
    }
}

/// What is there of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Inodes that the client knows, without the root.
    pub inodes: usize,
    /// Open files and directories.
    pub handles: usize,
    /// Owners of locks, inode by inode.
    pub locks: usize,
}

thread_local! {
    /// Whether this thread's current directory is /proc/self/fd.
    static IS_IN_SELF_FDS: Cell<bool> = const { Cell::new(false) };
}

impl Passthrough {
    pub(super) fn agree(&self, offered: InitFlags) -> Result<InitFlags> {
        let options = &self.options;
        let frozen = options.read_only && options.cache == Cache::Always;
        let acl = InitFlags::POSIX_ACL | InitFlags::DONT_MASK | InitFlags::SETXATTR_EXT;
        let label = InitFlags::SECURITY_CTX;
        let plus = InitFlags::DO_READDIRPLUS | InitFlags::READDIRPLUS_AUTO;
        let wanted = plus.when(options.readdirplus && options.cache != Cache::Never)
            | InitFlags::WRITEBACK_CACHE.when(options.writeback && !options.read_only)
            | InitFlags::HANDLE_KILLPRIV_V2.when(options.killpriv_v2)
            | InitFlags::DIRECT_IO_ALLOW_MMAP.when(options.allow_mmap)
            | InitFlags::POSIX_LOCKS.when(options.posix_lock)
            | InitFlags::FLOCK_LOCKS.when(options.flock)
            | InitFlags::CREATE_SUPP_GROUP
            | InitFlags::EXPORT_SUPPORT.when(options.export)
            | InitFlags::CACHE_SYMLINKS.when(options.cache != Cache::Never)
            | InitFlags::NO_OPEN_SUPPORT.when(frozen)
            | InitFlags::NO_OPENDIR_SUPPORT.when(frozen)
            | self.negotiate("POSIX ACLs", options.posix_acl, acl, offered)?
            | self.negotiate("labels", options.security_label, label, offered)?;
        let flags = wanted & offered;
        self.agreed.flags.store(flags.0, Ordering::Relaxed);
        Ok(flags)
    }

    /// Whether this was agreed on.
    pub(super) fn has(&self, flag: InitFlags) -> bool {
        InitFlags(self.agreed.flags.load(Ordering::Relaxed)).has(flag)
    }

    pub(super) fn give_up_all(&self) {
        self.locks.end();
        self.handles.clear();
        self.held.clear();
        self.table.clear();
        self.mounts.clear();
        self.agreed.flags.store(0, Ordering::Relaxed);
    }

    /// What is there of a session: nothing after [`FileSystem::end`](crate::FileSystem::end).
    pub fn counts(&self) -> Counts {
        Counts { inodes: self.table.len(), handles: self.handles.len(), locks: self.locks.len() }
    }

    /// What is in use of something that is wanted, or the refusal of a client that cannot do it.
    fn negotiate(
        &self,
        what: &str,
        wanted: Wanted,
        flags: InitFlags,
        offered: InitFlags,
    ) -> Result<InitFlags> {
        match wanted {
            Wanted::Never => Ok(InitFlags::NONE),
            _ if offered.has(flags) => Ok(flags),
            Wanted::Auto => Ok(InitFlags::NONE),
            Wanted::Always => {
                if let Some(more) = self.agreed.complaints.allow() {
                    log::error!(
                        "the client cannot do {what}, which it must: it offers {offered:?} ({more} more \
                         before)"
                    );
                }
                Err(Failure::Errno(libc::EPROTO))
            }
        }
    }

    pub(super) fn make_thread_ready(&self) -> io::Result<()> {
        self.callers.prepare_thread()?;
        if let Some(self_fds) = &self.self_fds {
            set_directory(self_fds.as_fd())?;
            IS_IN_SELF_FDS.set(true);
        }
        Ok(())
    }
}

/// Whether this thread's current directory is /proc/self/fd.
pub(super) fn is_in_self_fds() -> bool {
    IS_IN_SELF_FDS.get()
}

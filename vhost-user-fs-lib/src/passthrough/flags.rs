// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! How the host opens what the client opens, and what the client may do with it then.

use libc::c_int;

use super::{Cache, Passthrough};
use crate::filesystem::{Failure, InitFlags, OpenFlags, Result};

/// What of the client's flags is for the host.
const PASSED: c_int = libc::O_ACCMODE
    | libc::O_APPEND
    | libc::O_TRUNC
    | libc::O_DSYNC
    | libc::O_SYNC
    | libc::O_NOATIME
    | libc::O_DIRECT;

impl Passthrough {
    /// The flags that the host opens a file with.
    pub(super) fn host_flags(&self, flags: u32) -> Result<c_int> {
        let mut flags = flags.cast_signed() & PASSED;
        let access = flags & libc::O_ACCMODE;
        if access == libc::O_ACCMODE {
            return Err(Failure::EINVAL);
        }
        if self.options.read_only && (access != libc::O_RDONLY || flags & libc::O_TRUNC != 0) {
            return Err(Failure::EROFS);
        }
        if self.has(InitFlags::WRITEBACK_CACHE) {
            // The client's cache reads what surrounds a write, and says itself where the end is.
            flags &= !libc::O_APPEND;
            if access == libc::O_WRONLY {
                flags = flags & !libc::O_ACCMODE | libc::O_RDWR;
            }
        }
        if !self.options.allow_direct_io {
            flags &= !libc::O_DIRECT;
        }
        Ok(flags & self.times())
    }

    /// The flags that a directory is opened with.
    pub(super) fn host_directory_flags(&self, flags: u32) -> c_int {
        let asked = flags.cast_signed() & libc::O_NOATIME;
        libc::O_RDONLY | libc::O_DIRECTORY | asked & self.times()
    }

    /// All flags, but for O_NOATIME where it is not to be: a host would refuse it to us for files of others.
    fn times(&self) -> c_int {
        if self.options.preserve_noatime { !0 } else { !libc::O_NOATIME }
    }

    /// What the client may do with a file that it opened with these flags.
    pub(super) fn file_flags(&self, flags: u32) -> OpenFlags {
        let direct = matches!(self.options.cache, Cache::Never | Cache::Metadata);
        let past_cache = direct || flags.cast_signed() & libc::O_DIRECT != 0;
        OpenFlags::DIRECT_IO.when(direct)
            | OpenFlags::PARALLEL_DIRECT_WRITES.when(past_cache)
            | OpenFlags::KEEP_CACHE.when(self.options.cache == Cache::Always)
    }

    /// What the client may do with a directory.
    pub(super) fn directory_flags(&self) -> OpenFlags {
        let always = self.options.cache == Cache::Always;
        OpenFlags::CACHE_DIR.when(always) | OpenFlags::KEEP_CACHE.when(always)
    }
}

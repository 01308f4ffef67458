// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Flags of the FUSE protocol by their names (Linux, `include/uapi/linux/fuse.h`).

use std::fmt;
use std::ops::{BitAnd, BitOr, Sub};

/// What client and server can do: the flags of INIT, all 64 bits.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct InitFlags(pub u64);

/// What the client may do with an open file (`FOPEN_...`).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenFlags(pub u32);

macro_rules! flags {
    ($flags:ident($word:ty): $($(#[$doc:meta])* $name:ident = $bit:literal,)*) => {
        impl $flags {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*

            /// None of them.
            pub const NONE: Self = Self(0);

            const NAMES: &[(Self, &str)] = &[$((Self::$name, stringify!($name)),)*];

            /// Whether all of `others` are among them.
            pub fn has(self, others: Self) -> bool {
                self.0 & others.0 == others.0
            }

            /// `self` if `condition` holds, else none.
            #[must_use]
            pub fn when(self, condition: bool) -> Self {
                if condition { self } else { Self::NONE }
            }
        }

        impl BitOr for $flags {
            type Output = Self;

            fn bitor(self, others: Self) -> Self {
                Self(self.0 | others.0)
            }
        }

        impl BitAnd for $flags {
            type Output = Self;

            fn bitand(self, others: Self) -> Self {
                Self(self.0 & others.0)
            }
        }

        impl Sub for $flags {
            type Output = Self;

            fn sub(self, others: Self) -> Self {
                Self(self.0 & !others.0)
            }
        }

        impl fmt::Debug for $flags {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let names = Self::NAMES.iter().filter(|(flag, _)| self.has(*flag));
                let known = Self::NAMES.iter().fold(Self::NONE, |known, (flag, _)| known | *flag);
                let mut set = f.debug_set();
                set.entries(names.map(|(_, name)| format_args!("{name}").to_string()));
                let rest = (*self - known).0;
                if rest != 0 {
                    set.entry(&format_args!("{rest:#x}"));
                }
                set.finish()
            }
        }
    };
}

flags! {
    InitFlags(u64):
    /// Several reads at once.
    ASYNC_READ = 0,
    /// Record locks are the server's.
    POSIX_LOCKS = 1,
    /// READ and WRITE have handles.
    FILE_OPS = 2,
    /// OPEN truncates with O_TRUNC.
    ATOMIC_O_TRUNC = 3,
    /// LOOKUP answers `.` and `..`.
    EXPORT_SUPPORT = 4,
    /// Writes of more than a page.
    BIG_WRITES = 5,
    /// The umask is the server's to apply.
    DONT_MASK = 6,
    /// Of /dev/fuse only.
    SPLICE_WRITE = 7,
    /// Of /dev/fuse only.
    SPLICE_MOVE = 8,
    /// Of /dev/fuse only.
    SPLICE_READ = 9,
    /// Locks of whole files are the server's.
    FLOCK_LOCKS = 10,
    /// IOCTL on directories.
    HAS_IOCTL_DIR = 11,
    /// The client drops cached data when attributes have changed.
    AUTO_INVAL_DATA = 12,
    /// READDIRPLUS.
    DO_READDIRPLUS = 13,
    /// READDIRPLUS only where it seems to pay.
    READDIRPLUS_AUTO = 14,
    /// Direct I/O does not wait.
    ASYNC_DIO = 15,
    /// The client's cache keeps writes.
    WRITEBACK_CACHE = 16,
    /// OPEN may answer ENOSYS.
    NO_OPEN_SUPPORT = 17,
    /// LOOKUP and READDIR in one directory at once.
    PARALLEL_DIROPS = 18,
    /// The server clears set-user-id bits whenever a file is written.
    HANDLE_KILLPRIV = 19,
    /// ACLs are honoured.
    POSIX_ACL = 20,
    /// Of /dev/fuse only.
    ABORT_ERROR = 21,
    /// `max_pages` counts.
    MAX_PAGES = 22,
    /// Targets of symbolic links are cached.
    CACHE_SYMLINKS = 23,
    /// OPENDIR may answer ENOSYS.
    NO_OPENDIR_SUPPORT = 24,
    /// Cached data is dropped only when that is asked for.
    EXPLICIT_INVAL_DATA = 25,
    /// `map_alignment` counts.
    MAP_ALIGNMENT = 26,
    /// Mount points are marked.
    SUBMOUNTS = 27,
    /// The server clears set-user-id bits when it is told to.
    HANDLE_KILLPRIV_V2 = 28,
    /// SETXATTR has flags of its own.
    SETXATTR_EXT = 29,
    /// The upper 32 flags are there.
    INIT_EXT = 30,
    /// Files are made with a label.
    SECURITY_CTX = 32,
    /// DAX file by file.
    HAS_INODE_DAX = 33,
    /// Files are made with the group of their directory.
    CREATE_SUPP_GROUP = 34,
    /// Entries can be told to expire.
    HAS_EXPIRE_ONLY = 35,
    /// Shared mappings of files in direct I/O.
    DIRECT_IO_ALLOW_MMAP = 36,
    /// Of /dev/fuse only.
    PASSTHROUGH = 37,
    /// There are no handles for files.
    NO_EXPORT_SUPPORT = 38,
    /// Of /dev/fuse only.
    HAS_RESEND = 39,
    /// Idmapped mounts.
    ALLOW_IDMAP = 40,
    /// Of /dev/fuse only.
    OVER_IO_URING = 41,
    /// Of /dev/fuse only.
    REQUEST_TIMEOUT = 42,
}

flags! {
    OpenFlags(u32):
    /// Past the client's page cache.
    DIRECT_IO = 0,
    /// What the client's page cache has of it stays.
    KEEP_CACHE = 1,
    /// There are no offsets.
    NONSEEKABLE = 2,
    /// The entries of the directory may be cached.
    CACHE_DIR = 3,
    /// There is no position.
    STREAM = 4,
    /// No FLUSH when it is closed.
    NOFLUSH = 5,
    /// Several direct writes at once.
    PARALLEL_DIRECT_WRITES = 6,
    /// Of /dev/fuse only.
    PASSTHROUGH = 7,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_told_by_name_and_unknown_ones_by_number() {
        let flags = InitFlags::ASYNC_READ | InitFlags::SUBMOUNTS | InitFlags(1 << 63);
        assert_eq!(format!("{flags:?}"), r#"{"ASYNC_READ", "SUBMOUNTS", 0x8000000000000000}"#);
        assert_eq!(format!("{:?}", OpenFlags::NONE), "{}");
    }

    #[test]
    fn flags_are_there_when_all_of_them_are() {
        let flags = InitFlags::ASYNC_READ | InitFlags::SUBMOUNTS.when(false);
        assert!(flags.has(InitFlags::ASYNC_READ));
        assert!(!flags.has(InitFlags::ASYNC_READ | InitFlags::SUBMOUNTS));
        assert_eq!(flags - InitFlags::ASYNC_READ, InitFlags::NONE);
    }
}

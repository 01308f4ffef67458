// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! How a directory is shared.

use std::time::Duration;

use super::ids::Translation;
use super::xattr_map::XattrMap;

/// What a client may keep without asking again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cache {
    /// Nothing: names and attributes are asked for each time, data goes past the client's page cache.
    Never,
    /// Names and attributes for a second; data until the file is opened and has changed since.
    #[default]
    Auto,
    /// Names and attributes for a day, no data.
    Metadata,
    /// All of it for a day: nobody else changes the directory.
    Always,
}

/// Whether inodes are kept as handles (name_to_handle_at(2)), which need no open descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileHandles {
    /// A descriptor for each inode.
    Never,
    /// Handles where the file system has them and they can be opened.
    #[default]
    Prefer,
    /// Handles; a file system without them is an error.
    Mandatory,
}

/// Something that the client must be capable of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// It is off.
    #[default]
    Never,
    /// It is on if the client can do it.
    Auto,
    /// A client that cannot do it is refused.
    Always,
}

/// How a directory is shared. The default is that of an operator who says nothing.
#[expect(clippy::struct_excessive_bools, reason = "each is an option by itself")]
#[derive(Clone, Debug)]
pub struct Options {
    /// What the client may keep.
    pub cache: Cache,
    /// For how long it may keep names, if not as [`Options::cache`] says.
    pub entry_timeout: Option<Duration>,
    /// For how long it may keep attributes, if not as [`Options::cache`] says.
    pub attr_timeout: Option<Duration>,
    /// For how long it may take it that there is no entry of a name. Zero: such an answer is not kept.
    pub negative_timeout: Duration,
    /// Extended attributes; without them ENOSYS.
    pub xattr: bool,
    /// What their names are on the host.
    pub xattr_map: XattrMap,
    /// Access control lists.
    pub posix_acl: Wanted,
    /// New files get their label at once.
    pub security_label: Wanted,
    /// Nothing changes.
    pub read_only: bool,
    /// Mount points below the directory are announced.
    pub announce_submounts: bool,
    /// Whether inodes are kept as handles.
    pub file_handles: FileHandles,
    /// How many descriptors of inodes with handles are kept open, so that they need not be opened again.
    pub inode_fd_cache: usize,
    /// Shared mappings of files in the modes without a data cache.
    pub allow_mmap: bool,
    /// READDIRPLUS.
    pub readdirplus: bool,
    /// The client's cache keeps writes.
    pub writeback: bool,
    /// O_DIRECT of the client is one of the host's, too.
    pub allow_direct_io: bool,
    /// Set-user-id bits are cleared by the server.
    pub killpriv_v2: bool,
    /// O_NOATIME of the client is one of the host's, too.
    pub preserve_noatime: bool,
    /// Users and groups of the client in numbers of the host's.
    pub ids: Translation,
    /// Record locks are those of the host.
    pub posix_lock: bool,
    /// Locks of whole files are those of the host.
    pub flock: bool,
    /// `.` and `..` can be looked up.
    pub export: bool,
    /// How many descriptors the file system may have open for the client.
    pub descriptors: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache: Cache::default(),
            entry_timeout: None,
            attr_timeout: None,
            negative_timeout: Duration::ZERO,
            xattr: false,
            xattr_map: XattrMap::default(),
            posix_acl: Wanted::default(),
            security_label: Wanted::default(),
            read_only: false,
            announce_submounts: true,
            file_handles: FileHandles::default(),
            inode_fd_cache: 4096,
            allow_mmap: false,
            readdirplus: true,
            writeback: false,
            allow_direct_io: false,
            killpriv_v2: false,
            preserve_noatime: false,
            ids: Translation::default(),
            posix_lock: false,
            flock: false,
            export: false,
            descriptors: 100_000,
        }
    }
}

impl Options {
    /// For how long the client may keep names and attributes by default.
    pub(crate) fn timeout(&self) -> Duration {
        match self.cache {
            Cache::Never => Duration::ZERO,
            Cache::Auto => Duration::from_secs(1),
            Cache::Metadata | Cache::Always => Duration::from_secs(86_400),
        }
    }
}

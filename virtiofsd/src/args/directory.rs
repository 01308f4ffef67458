// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What is shared, what can be done with it, and what the guest may keep of it.

use std::path::PathBuf;

use super::modes::{CacheMode, FileHandlesMode, NegotiationMode};

/// What is shared, and what can be done with it.
#[expect(clippy::struct_excessive_bools, reason = "each is an option by itself")]
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Directory")]
pub struct DirectoryArgs {
    /// Share the directory PATH, or the regular file PATH alone.
    #[arg(long, value_name = "PATH", required_unless_present = "compat_options")]
    pub shared_dir: Option<PathBuf>,

    /// Tell the front end that the guest knows the file system as TAG, 1 to 36 bytes. Without this
    /// option the front end says what it is called; QEMU does in any case, and QEMU 7.1 to 8.0 must
    /// not be told.
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,

    /// Keep the guest from changing anything; times of access change still.
    #[arg(long)]
    pub readonly: bool,

    /// Let the guest use extended attributes.
    #[arg(long)]
    pub xattr: bool,

    /// Have names of extended attributes be other ones on the host, by rules such as
    /// `:map::user.virtiofs.:`; --xattr is implied.
    #[arg(long, value_name = "RULES")]
    pub xattrmap: Option<String>,

    /// Have access control lists, if the guest can do it (auto) or else refuse it (always); --xattr is
    /// implied.
    #[arg(
        long,
        value_name = "MODE",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_value = "never",
        default_missing_value = "always"
    )]
    pub posix_acl: NegotiationMode,

    /// Give new files the security label that the guest wants, at once; --xattr is implied.
    #[arg(
        long,
        value_name = "MODE",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_value = "never",
        default_missing_value = "always"
    )]
    pub security_label: NegotiationMode,

    /// Show the guest where other file systems of the host are mounted below the directory
    /// (default).
    #[arg(long)]
    pub announce_submounts: bool,

    /// Show the guest one file system, whatever is mounted below the directory.
    #[arg(long)]
    pub no_announce_submounts: bool,

    /// Keep the files that the guest knows as handles, which take no open descriptor: never, where
    /// the host's file system has them, or only so. It takes CAP_DAC_READ_SEARCH.
    #[arg(long, value_name = "MODE", value_enum, require_equals = true, default_value_t)]
    pub inode_file_handles: FileHandlesMode,

    /// Keep descriptors of at most N files that are known as handles, to be faster with them.
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub inode_fd_cache: usize,

    /// Open files on the host with O_DIRECT if the guest does.
    #[arg(long)]
    pub allow_direct_io: bool,

    /// Open files on the host with O_NOATIME if the guest does.
    #[arg(long)]
    pub preserve_noatime: bool,

    /// Clear set-user-id bits of what the guest writes to, so that its kernel need not.
    #[arg(long)]
    pub killpriv_v2: bool,

    /// Leave that to the guest's kernel (default).
    #[arg(long)]
    pub no_killpriv_v2: bool,

    /// Make the guest's record locks locks of the host, which others see; without it they are seen
    /// in the guest alone.
    #[arg(long)]
    pub posix_lock: bool,

    /// The same for locks of whole files, flock(2).
    #[arg(long)]
    pub flock: bool,

    /// Let the guest export the file system by NFS: names `.` and `..` can be looked up.
    #[arg(long)]
    pub export: bool,
}

/// What the guest may keep.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cache")]
pub struct CacheArgs {
    /// What the guest may keep without asking again.
    #[arg(long, value_name = "MODE", value_enum, ignore_case = true, default_value_t)]
    pub cache: CacheMode,

    /// Let the guest keep names for SECONDS, such as 0, 0.5 or 60 [default: as --cache says].
    #[arg(long, value_name = "SECONDS")]
    pub entry_timeout: Option<String>,

    /// Let the guest keep attributes for SECONDS [default: as --cache says].
    #[arg(long, value_name = "SECONDS")]
    pub attr_timeout: Option<String>,

    /// Let the guest take it for SECONDS that a name which was not there still is not [default: 0].
    #[arg(long, value_name = "SECONDS")]
    pub negative_timeout: Option<String>,

    /// Let the guest's kernel gather writes: for a directory that nobody else changes.
    #[arg(long)]
    pub writeback: bool,

    /// Let the guest map files with --cache never and metadata, too: for a directory that nobody
    /// else changes.
    #[arg(long)]
    pub allow_mmap: bool,

    /// Give the guest no attributes with the names of a directory.
    #[arg(long)]
    pub no_readdirplus: bool,
}

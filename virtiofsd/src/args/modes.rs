// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What there is to choose between.

/// What the guest may keep without asking again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum CacheMode {
    /// Names and attributes for a second; data until the file is opened again and has changed.
    #[default]
    Auto,
    /// All of it for a day: for a directory that nobody else changes.
    Always,
    /// Names and attributes for a day, no data.
    Metadata,
    /// Nothing.
    Never,
}

/// When something is negotiated with the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum NegotiationMode {
    /// Not at all.
    #[default]
    Never,
    /// If the guest can do it.
    Auto,
    /// A guest that cannot do it is refused.
    Always,
}

/// Whether inodes are kept as handles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FileHandlesMode {
    /// A descriptor for each inode that the guest knows.
    Never,
    /// Handles where the host's file system has them.
    #[default]
    Prefer,
    /// The same, as it was once called.
    #[value(hide = true)]
    Fallback,
    /// Handles, and an error where there are none.
    Mandatory,
}

/// What of the sandbox there is to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum SandboxMode {
    /// Namespaces in which the directory is the root and nothing else is there.
    #[default]
    Namespace,
    /// The directory is the root: for root, or whoever has CAP_SYS_CHROOT.
    Chroot,
    /// Neither of them.
    None,
}

/// How what the guest knows is said to the other host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum MigrationMode {
    /// By paths, which are looked for.
    #[default]
    FindPaths,
    /// By handles, for storage that both hosts have.
    FileHandles,
}

/// What becomes of what cannot be found on the other host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OnError {
    /// There is no migration.
    #[default]
    Abort,
    /// The guest gets errors from it.
    GuestError,
}

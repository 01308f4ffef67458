// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the user typed.
//!
//! What of it is possible, and what it then means, is said in [`crate::config`].

mod directory;
mod ids;
mod migration;
mod modes;
mod old;
mod process;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use vhost_user_daemon::{Capabilities, CommonArgs};

pub use self::directory::{CacheArgs, DirectoryArgs};
pub use self::ids::IdArgs;
pub use self::migration::MigrationArgs;
pub use self::modes::{
    CacheMode, FileHandlesMode, MigrationMode, NegotiationMode, OnError, SandboxMode,
};
pub use self::old::OldArgs;
pub use self::process::{ProcessArgs, QueueArgs};

/// What `--print-capabilities` prints: what management layers ask virtiofsd for.
pub const CAPABILITIES: Capabilities = Capabilities {
    device_type: "fs",
    features: &[
        "migrate-precopy",
        "posix-acl-negotiation-mode",
        "security-label-negotiation-mode",
        "separate-options",
    ],
};

/// What the user typed, in whichever of the two ways there are to say it.
#[derive(Clone, Debug)]
pub struct Args {
    /// What is shared, and what can be done with it.
    pub directory: DirectoryArgs,
    /// What the guest may keep.
    pub cache: CacheArgs,
    /// Users and groups.
    pub ids: IdArgs,
    /// Virtqueues and what serves them.
    pub queues: QueueArgs,
    /// What every daemon has, in virtiofsd's words.
    pub process: ProcessArgs,
    /// What has no effect yet.
    pub migration: MigrationArgs,
    /// Other ways to say it.
    pub old: OldArgs,
    /// `process` and `queues` in every daemon's words.
    common: CommonArgs,
}

/// Share a directory of the host with a virtual machine as a virtio file system.
///
/// A VMM such as QEMU connects to the socket, shares its guest's memory, and this process serves the
/// guest's mount of the file system from the directory.
#[derive(Clone, Debug, clap::Parser)]
#[command(
    name = "virtiofsd",
    version,
    args_override_self = true,
    arg_required_else_help = true,
    override_usage = "virtiofsd --shared-dir <PATH> --socket-path <PATH> [OPTIONS]"
)]
struct Typed {
    #[command(flatten)]
    directory: DirectoryArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    ids: IdArgs,
    #[command(flatten)]
    queues: QueueArgs,
    #[command(flatten)]
    process: ProcessArgs,
    #[command(flatten)]
    migration: MigrationArgs,
    #[command(flatten)]
    old: OldArgs,
}

impl TryFrom<Typed> for Args {
    type Error = clap::Error;

    fn try_from(typed: Typed) -> Result<Self, clap::Error> {
        let Typed { directory, cache, ids, queues, process, migration, old } = typed;
        let common = CommonArgs::default();
        let mut args = Self { directory, cache, ids, queues, process, migration, old, common };
        crate::legacy::apply(&mut args).map_err(|error| {
            Typed::command().error(ErrorKind::InvalidValue, format!("{error}\n"))
        })?;
        args.common = args.process.common(&args.old, &args.queues);
        Ok(args)
    }
}

impl clap::Parser for Args {}

impl CommandFactory for Args {
    fn command() -> clap::Command {
        Typed::command()
    }

    fn command_for_update() -> clap::Command {
        Typed::command_for_update()
    }
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Typed::from_arg_matches(matches).and_then(Self::try_from)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

#[cfg(test)]
mod tests;

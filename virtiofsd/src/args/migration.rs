// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What has no effect before a file system can be migrated.

use super::modes::{MigrationMode, OnError};

/// What has no effect yet.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Migration (without effect: it cannot be migrated yet)")]
pub struct MigrationArgs {
    /// How to say what the guest knows to the other host.
    #[arg(long, value_name = "MODE", value_enum)]
    pub migration_mode: Option<MigrationMode>,

    /// What to do about what cannot be found there.
    #[arg(long, value_name = "ACTION", value_enum)]
    pub migration_on_error: Option<OnError>,

    /// Have the other host compare handles; only with --migration-mode find-paths.
    #[arg(long)]
    pub migration_verify_handles: bool,

    /// Look at the paths again at the last moment; only with --migration-mode find-paths.
    #[arg(long)]
    pub migration_confirm_paths: bool,
}

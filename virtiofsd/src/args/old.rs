// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Other ways to say it, which older programs use.

use std::path::PathBuf;

/// Other ways to say it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Older spellings")]
pub struct OldArgs {
    /// Options with commas between them, such as source=PATH,cache=auto,no_xattr. Can be repeated.
    #[arg(short = 'o', value_name = "OPTIONS", id = "compat_options")]
    pub options: Vec<String>,

    /// The same as --socket-path.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["fd", "connect"])]
    pub socket: Option<PathBuf>,

    /// The same as --log-level debug.
    #[arg(short = 'd')]
    pub debug: bool,

    /// Has no effect: the process stays in the foreground without --daemonize.
    #[arg(short = 'f')]
    pub foreground: bool,
}

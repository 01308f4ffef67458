// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What is to be written, and where to.

use std::path::PathBuf;

/// Write what the daemons' parsers say about them.
#[derive(clap::Parser)]
#[command(name = "vhost-user-pages")]
pub(crate) struct Args {
    /// The folder of the daemons' pages.
    #[arg(long, value_name = "DIR")]
    pub(crate) docs: PathBuf,

    /// Write the tables of options in these pages anew.
    #[arg(long)]
    pub(crate) tables: bool,

    /// Write man pages, completions and discovery files below DIR, as they are to be below
    /// /usr/share.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Say in discovery files that the programs are in DIR.
    #[arg(long, value_name = "DIR", default_value = "/usr/bin")]
    pub(crate) bindir: String,
}

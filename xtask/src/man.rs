// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `cargo xtask man`: man pages, completions for shells, the files by which QEMU's management layers
//! find the daemons, and the tables of options in `docs/`.
//!
//! The daemons' parsers say all of it, and this program is built without them; so a package of its
//! own writes it, `vhost-user-pages`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cargo::{PAGES, Workspace};
use crate::command;

/// From the first crate compiled to the last page.
const LIMIT: Duration = Duration::from_secs(600);

/// Where the programs are if nobody says otherwise: people start them by name, units and man pages
/// too.
pub(crate) const BINDIR: &str = "/usr/bin";

/// Write man pages, completions for shells and QEMU's discovery files from the daemons' parsers.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write them below DIR, as they are to be below /usr/share [default: xtask/man in the target
    /// directory].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Say in the discovery files that the programs are in DIR.
    #[arg(long, value_name = "DIR", default_value = BINDIR)]
    bindir: String,
    /// Write the tables of options in docs/ anew, and nothing else.
    #[arg(long, conflicts_with_all = ["out", "bindir"])]
    docs: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    if args.docs {
        let mut pages = pages(&workspace)?;
        command::run(pages.arg("--tables"), LIMIT)?;
        return Ok(ExitCode::SUCCESS);
    }
    let out = args.out.clone().unwrap_or_else(|| workspace.target.join("xtask/man"));
    write(&workspace, &out, &args.bindir)?;
    println!("{}", out.display());
    Ok(ExitCode::SUCCESS)
}

/// Writes all that is to be below /usr/share to the directory `out`.
///
/// # Errors
/// The package can't be built, or a page not be written.
pub(crate) fn write(workspace: &Workspace, out: &Path, bindir: &str) -> Result<()> {
    let mut pages = pages(workspace)?;
    pages.args(["--bindir", bindir]).arg("--out").arg(out);
    command::run(&mut pages, LIMIT).with_context(|| format!("write pages to {}", out.display()))
}

/// The program that writes pages, built.
fn pages(workspace: &Workspace) -> Result<Command> {
    let mut build = workspace.cargo("build");
    command::run(build.args(["--quiet", "--package", PAGES]), LIMIT)?;
    let mut pages = Command::new(workspace.target.join("debug").join(PAGES));
    pages.arg("--docs").arg(workspace.root.join("docs"));
    Ok(pages)
}

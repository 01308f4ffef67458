// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `cargo xtask bench`: what it costs, in figures that another run repeats.

mod blk;
mod log;

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::Workspace;

pub(crate) use log::report;

/// Measure what something costs.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

/// What can be measured.
#[derive(Debug, clap::Subcommand)]
enum What {
    /// The instructions of a request in the ring, without a dirty log and with one.
    Log,
    Blk(blk::Args),
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    match &args.what {
        What::Log => report(&workspace).map(|()| ExitCode::SUCCESS),
        What::Blk(args) => blk::run(&workspace, args),
    }
}

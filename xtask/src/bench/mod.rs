// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `cargo xtask bench`: what it costs, in figures that another run repeats.

mod log;

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::Workspace;

pub(crate) use log::report;

/// Measure what something costs.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What is measured.
    #[arg(value_enum)]
    what: What,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// The instructions of a request in the ring, without a dirty log and with one.
    Log,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    match args.what {
        What::Log => report(&workspace)?,
    }
    Ok(ExitCode::SUCCESS)
}

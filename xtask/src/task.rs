// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The tasks by name.

use std::process::ExitCode;

use anyhow::Result;

use crate::{bench, coverage, demo, fuzz, install, man, soak, test, tidy};

/// The project's own tasks.
#[derive(clap::Parser)]
#[command(name = "cargo xtask")]
pub(crate) enum Task {
    Test(test::Args),
    Demo(demo::Args),
    Tidy(tidy::Args),
    Coverage(coverage::Args),
    Bench(bench::Args),
    Fuzz(fuzz::Args),
    Soak(soak::Args),
    Man(man::Args),
    Install(install::Args),
}

impl Task {
    /// Does it; the exit code says whether all is well.
    ///
    /// # Errors
    /// The task could not be done.
    pub(crate) fn run(&self) -> Result<ExitCode> {
        match self {
            Self::Test(args) => test::run(args),
            Self::Demo(args) => demo::run(args),
            Self::Tidy(args) => tidy::run(args),
            Self::Coverage(args) => coverage::run(args),
            Self::Bench(args) => bench::run(args),
            Self::Fuzz(args) => fuzz::run(args),
            Self::Soak(args) => soak::run(args),
            Self::Man(args) => man::run(args),
            Self::Install(args) => install::run(args),
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `cargo xtask soak`: tests that find the more the longer they run, for longer than anybody would wait
//! each time.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::cargo::Workspace;
use crate::command;

/// All of it, on a slow machine.
const LIMIT: Duration = Duration::from_secs(2 * 60 * 60);

/// How often as much as usual is done, for the tests that look at this.
const VARIABLE: &str = "VHOST_USER_SOAK";

/// Run fsx and stress-ng on shared directories for longer.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often as much as in the usual tests.
    #[arg(long, default_value_t = 5)]
    times: u32,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let mut cargo = workspace.cargo("test");
    cargo.args(["-p", "vhost-user-tests", "--test", "fs_suites", "--", "fsx::", "stress::"]);
    cargo.env(VARIABLE, args.times.to_string());
    command::run(&mut cargo, LIMIT)?;
    Ok(ExitCode::SUCCESS)
}

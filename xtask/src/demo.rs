// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `cargo xtask demo`: a guest boots from a directory and works on a disk that our daemons serve.

use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::Result;

use crate::cargo::Workspace;
use crate::command;

/// From the first crate compiled to the guest's power-off.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// Boot a guest from a directory and a disk of ours and show it at work.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments of the demo itself.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let mut build = workspace.cargo("build");
    build.args(["--release", "--bins", "-p", "vhost-user-tests"]);
    for daemon in workspace.daemons() {
        build.args(["-p", &daemon.name]);
    }
    command::run(&mut build, LIMIT)?;

    let binaries = workspace.target.join("release");
    let mut demo = Command::new(binaries.join("demo"));
    demo.args(&args.rest).env("VHOST_USER_BIN_DIR", &binaries);
    command::run(&mut demo, LIMIT)?;
    Ok(ExitCode::SUCCESS)
}

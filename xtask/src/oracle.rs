// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The workspace `tests/oracle`: other implementations of the protocol, to compare ours with.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::cargo::Workspace;
use crate::command;
use crate::suite::{self, Environment, Outcome};

/// Where it is.
const FOLDER: &str = "tests/oracle";

/// How long building it may take.
const LIMIT: Duration = Duration::from_secs(600);

/// The variable that says where the reference back end is.
pub(crate) const REFERENCE: &str = "REFERENCE_BLK";

/// The test that compares thousands of sequences of messages, and says what it has seen.
const DIFFERENTIAL: &str = "sequences_go_as_with_vhost";

/// Runs the tests of the workspace.
///
/// # Errors
/// They can't be built or run.
pub(crate) fn run_tests(workspace: &Workspace) -> Result<Vec<Outcome>> {
    let oracle = workspace.apart(FOLDER)?;
    let mut cargo = oracle.cargo("test");
    let built = suite::build(&oracle, cargo.arg("--locked"), "oracle:", LIMIT)?;
    let mut tests = Vec::new();
    for binary in &built.tests {
        tests.extend(suite::list(binary)?);
    }
    let outcomes = suite::run(tests, &Environment::new())?;
    for outcome in outcomes.iter().filter(|outcome| outcome.id.contains(DIFFERENTIAL)) {
        println!("{}", outcome.output.trim_end());
    }
    Ok(outcomes)
}

/// Has clippy look at the workspace.
///
/// # Errors
/// It has something to say.
pub(crate) fn clippy(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.apart(FOLDER)?.cargo("clippy");
    cargo.args(["--locked", "--quiet", "--all-targets", "--", "-D", "warnings"]);
    command::run(&mut cargo, LIMIT)
}

/// Builds the reference back end.
///
/// # Errors
/// It doesn't build.
pub(crate) fn build_reference(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.apart(FOLDER)?.cargo("build");
    command::run(cargo.args(["--locked", "--quiet", "--bins"]), LIMIT)
}

/// Where the reference back end is once it is built.
pub(crate) fn reference(workspace: &Workspace) -> PathBuf {
    workspace.target.join("xtask/oracle/debug/reference-blk")
}

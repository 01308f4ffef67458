// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `cargo xtask coverage`: which lines of the product the tests execute, those in the daemons
//! that the black-box tests start included.
//!
//! The compiler makes the binaries count (`-C instrument-coverage`), each in a file that it has mapped
//! all along: at its end a daemon in its sandbox could not open one any more. `profile.rs` reads
//! profiles and binaries, `lines.rs` makes lines of code of it, `baseline.rs` compares the share of
//! executed lines with the one in the repository.

mod baseline;
mod lines;
mod profile;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cargo::{PRODUCT, Workspace};
use crate::suite::{self, Environment, Outcome, Verdict};
use crate::{command, oracle};
use lines::Lines;

/// How long building the instrumented packages may take.
const LIMIT: Duration = Duration::from_secs(600);

/// Measure the line coverage of the product and compare it with xtask/coverage.toml.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Take the figure for the one to compare with from now on.
    #[arg(long)]
    bless: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    measure(&Workspace::load()?, args.bless)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the tests with instrumented binaries, prints a table and compares the total.
///
/// # Errors
/// A test fails, or the total has fallen.
pub(crate) fn measure(workspace: &Workspace, bless: bool) -> Result<()> {
    let profiles = workspace.target.join("xtask/coverage");
    match fs::remove_dir_all(&profiles) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("empty {}", profiles.display()));
        }
        _ => fs::create_dir_all(&profiles).context("make a folder for the profiles")?,
    }
    let executed = run_tests(workspace, &profiles)
        .and_then(|objects| profile::executed(&profiles, &objects, &workspace.root));
    restore(workspace)?;
    let table = lines_of(&workspace.root, executed?)?;
    let total = print(&table);
    baseline::compare(&workspace.root, total, bless)
}

/// Runs the tests, the profiles of which go to a folder; returns all instrumented binaries.
fn run_tests(workspace: &Workspace, profiles: &Path) -> Result<Vec<PathBuf>> {
    let daemons = profiles.join("bin");
    workspace.build_daemons(&mut instrumented(workspace, "build"), &daemons, LIMIT)?;
    let with_hooks = profiles.join("bin-with-hooks");
    let mut build = instrumented(workspace, "build");
    workspace.build_daemons_with_hooks(&mut build, &with_hooks, LIMIT)?;
    oracle::build_reference(workspace)?;
    let built = suite::build(workspace, &mut instrumented(workspace, "test"), "", LIMIT)?;
    let mut tests = Vec::new();
    for binary in &built.tests {
        tests.extend(suite::list(binary)?);
    }
    tests.retain(|test| !test.skips_coverage());
    let environment: Environment = vec![
        ("VHOST_USER_BIN_DIR", daemons.clone().into()),
        ("VHOST_USER_HOOKS_BIN_DIR", with_hooks.clone().into()),
        (oracle::REFERENCE, oracle::reference(workspace).into()),
        // One file for each binary, or up to four when it runs more than once at the same time:
        // every process adds its counts, all along.
        ("LLVM_PROFILE_FILE", profiles.join("%4m%c.profraw").into()),
    ];
    let outcomes = suite::run(tests, &environment)?;
    let failed = |outcome: &&Outcome| matches!(outcome.verdict, Verdict::Failed(_));
    let failed = outcomes.iter().filter(failed).count();
    ensure!(failed == 0, "{failed} tests failed with instrumented binaries");
    let daemons = workspace
        .daemons()
        .flat_map(|package| [&daemons, &with_hooks].map(|folder| folder.join(&package.name)));
    Ok(built.executables.into_iter().chain(daemons).collect())
}

/// A cargo subcommand that makes the packages of the workspace count.
fn instrumented(workspace: &Workspace, subcommand: &str) -> Command {
    let wrapper = workspace.root.join("xtask/instrument");
    let mut cargo = cargo(workspace, subcommand);
    cargo.env("RUSTC_WORKSPACE_WRAPPER", wrapper);
    cargo
}

/// Lets the target directory have the plain binaries again.
fn restore(workspace: &Workspace) -> Result<()> {
    command::run(cargo(workspace, "build").args(["--quiet", "--bins"]), LIMIT)
}

/// A cargo subcommand for the packages of the product and those of its tests.
fn cargo(workspace: &Workspace, subcommand: &str) -> Command {
    let mut cargo = workspace.cargo(subcommand);
    for package in PRODUCT.iter().chain(&["vhost-user-tests"]) {
        cargo.args(["-p", package]);
    }
    cargo
}

fn lines_of(root: &Path, files: profile::Files) -> Result<BTreeMap<PathBuf, Lines>> {
    let mut table = BTreeMap::new();
    for (path, regions) in files {
        let text = fs::read_to_string(root.join(&path))
            .with_context(|| format!("read {}", path.display()))?;
        table.insert(path, Lines::of(&text, &regions));
    }
    Ok(table)
}

/// Prints the table and returns the share of executed lines of all files, in percent.
fn print(table: &BTreeMap<PathBuf, Lines>) -> f64 {
    println!("{:>8} {:>8} {:>8}  file", "percent", "lines", "missed");
    let mut total = Lines::default();
    for (path, lines) in table {
        println!("{lines}  {}", path.display());
        total.add(lines);
    }
    println!("{total}  all");
    for (path, lines) in table.iter().filter(|(_, lines)| !lines.missed.is_empty()) {
        println!("{}: not executed: {}", path.display(), lines.ranges_missed());
    }
    total.percent()
}

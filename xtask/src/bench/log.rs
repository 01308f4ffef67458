// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! How many instructions a request takes in the ring, without a dirty log and with one.
//!
//! Time would depend on the machine and on what else it does; instructions depend on the compiler
//! alone. A test of the ring's serves as many rounds as it is told, and callgrind counts what one
//! of its functions takes, with all that it calls. The difference of two runs has neither the first
//! rounds in it nor anything else that is done once.

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{PRODUCT, Workspace};
use crate::command::{self, Ending};
use crate::suite;

/// The test, and its function whose instructions are counted.
const TEST: &str =
    "ring::tests::instructions::rounds_of_a_batch_each_are_served_as_many_as_are_asked_for";
const COUNTED: &str = "*ring::tests::instructions::serve";

/// The requests of a round of the test's.
const BATCH: u32 = 32;
/// The rounds of the two runs.
const ROUNDS: [u32; 2] = [100, 300];

/// How long building or a run may take; the run takes a second.
const LIMIT: Duration = Duration::from_secs(600);

/// Prints the figures. Where valgrind is missing, says so.
///
/// # Errors
/// Valgrind is missing where nothing may be: when the environment has `CI`. The test can't be built or run, or callgrind doesn't find the function.
pub(crate) fn report(workspace: &Workspace) -> Result<()> {
    if command::watch(valgrind(&["--version"]), LIMIT).is_err() {
        ensure!(env::var_os("CI").is_none(), "valgrind is not installed");
        println!("NOT RUN: valgrind is not installed");
        return Ok(());
    }
    let mut cargo = workspace.cargo("test");
    cargo.args(["--release", "--lib", "-p", PRODUCT[0]]);
    let built = suite::build(workspace, &mut cargo, "", LIMIT)?;
    let [binary] = built.tests.as_slice() else { bail!("not one binary: {:?}", built.tests) };
    let [off, on] = [false, true].map(|log| for_a_request(&binary.executable, log));
    println!("a request takes {:.1} instructions in the ring; {:.1} with a dirty log", off?, on?);
    Ok(())
}

/// The instructions of a request: a round's, divided by its requests.
fn for_a_request(test: &Path, log: bool) -> Result<f64> {
    let [fewer, more] = ROUNDS;
    let counted = |rounds| counted(test, rounds, log);
    let difference =
        counted(more)?.checked_sub(counted(fewer)?).context("more rounds, less work")?;
    let requests = BATCH * (more - fewer);
    // Exact up to 2^32 of them; so many take minutes.
    let difference = u32::try_from(difference).context("so many instructions")?;
    Ok(f64::from(difference) / f64::from(requests))
}

/// The instructions that the function takes in all, in so many rounds.
fn counted(test: &Path, rounds: u32, log: bool) -> Result<u64> {
    let mut callgrind = valgrind(&["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    callgrind.args(["--collect-atstart=no", &format!("--toggle-collect={COUNTED}")]);
    callgrind.arg(test).args([TEST, "--exact", "--test-threads=1"]);
    callgrind.env("VHOST_USER_BENCH_ROUNDS", rounds.to_string());
    if log {
        callgrind.env("VHOST_USER_BENCH_LOG", "1");
    }
    let watched = command::watch(callgrind, LIMIT)?;
    let output = &watched.output;
    let fine = matches!(&watched.ending, Ending::Exit(status) if status.success());
    ensure!(fine && output.contains("1 passed"), "callgrind: {:?}: {output}", watched.ending);
    let count = collected(output).with_context(|| format!("no count of callgrind's: {output}"))?;
    ensure!(count > 0, "callgrind did not find the function {COUNTED}");
    Ok(count)
}

/// The number in callgrind's line `==PID== Collected : NUMBER`.
fn collected(output: &str) -> Option<u64> {
    let line = output.lines().find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}

fn valgrind(args: &[&str]) -> Command {
    let mut command = Command::new("valgrind");
    command.args(args);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_is_found_among_what_else_is_said() {
        let output = "running 1 test\n==7== Events    : Ir\n==7== Collected : 2927641\n==7== \n";
        assert_eq!(collected(output), Some(2_927_641));
        assert_eq!(collected("==7== Events    : Ir\n"), None);
    }
}

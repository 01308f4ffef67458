// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What others wrote to try file systems, and programs that want much of one, on a shared folder that
//! this machine's kernel has mounted.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use vhost_user_tests::fs::Mounted;

mod access;
mod files;
mod forgetting;
mod fsx;
mod git;
mod open_files;
mod overlay;
mod posix;
mod programs;
mod queues;
mod sqlite;
mod stress;

/// The options with which a daemon has each cache mode, and whether a file can be mapped then.
const CACHE_MODES: [(&[&str], bool); 6] = [
    (&["--cache", "never"], false),
    (&["--cache", "auto"], true),
    (&["--cache", "metadata"], false),
    (&["--cache", "always"], true),
    (&["--cache", "always", "--writeback"], true),
    (&["--cache", "never", "--allow-mmap"], true),
];

/// Runs a program for so many seconds at most; what it said.
///
/// # Panics
/// When it can't be run.
fn run(seconds: u32, program: impl AsRef<Path>, arguments: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", &seconds.to_string()]);
    let output = command.arg(program.as_ref()).args(arguments).output();
    output.unwrap_or_else(|e| panic!("run {}: {e}", program.as_ref().display()))
}

/// The same of one that has to end well; what it wrote to standard output.
#[track_caller]
fn succeed(seconds: u32, program: impl AsRef<Path>, arguments: &[&str]) -> String {
    let output = run(seconds, &program, arguments);
    let name = program.as_ref().display();
    assert!(output.status.success(), "{name} {arguments:?}: {}: {}", output.status, said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// All that a program said.
fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

/// A file of the tests' own that is in the repository.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// A path as an argument.
fn word(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A shared folder with the usual options, mounted.
fn mounted() -> Option<Mounted> {
    Mounted::with(&[])
}

/// How often as much as usual is done: `cargo xtask soak` wants more.
fn times() -> u32 {
    let said = std::env::var("VHOST_USER_SOAK").ok();
    said.map_or(1, |said| said.parse().expect("VHOST_USER_SOAK is a number"))
}

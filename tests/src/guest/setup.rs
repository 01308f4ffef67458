// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the script `tests/setup` left for guests, and the machine's own programs.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Something that a distribution may not have.
#[derive(Debug)]
pub enum Found<T> {
    /// Here it is.
    Here(T),
    /// The set-up looked for it and says why this distribution hasn't got it.
    NotHad(String),
}

/// What a test needs, if it was found. If not, that is said aloud on stderr.
///
/// # Panics
/// `found` is an error, so nobody looked for it, and the environment has `CI`.
pub fn required<T>(what: &str, found: Result<Found<T>>) -> Option<T> {
    let why = match found {
        Ok(Found::Here(found)) => return Some(found),
        Ok(Found::NotHad(reason)) => reason,
        Err(error) => {
            assert!(env::var_os("CI").is_none(), "this test needs {what}: {error:#}");
            format!("{error:#}")
        }
    };
    // Nothing more can be done with a line that stderr doesn't take.
    let _ = writeln!(std::io::stderr(), "SKIPPED: this test needs {what}: {why}");
    None
}

/// The directory of the set-up: `guests` in the target directory.
pub(crate) fn dir() -> PathBuf {
    target_dir().join("guests")
}

/// What `find` finds; or else why the distribution hasn't got `name`, if the set-up knows.
pub(super) fn found<T>(name: &str, find: impl FnOnce() -> Result<T>) -> Result<Found<T>> {
    find().map(Found::Here).or_else(|error| {
        match fs::read_to_string(dir().join(format!("{name}.absent"))) {
            Ok(reason) => Ok(Found::NotHad(reason.trim().to_owned())),
            Err(_) => Err(error.context("run tests/setup test, which gets it")),
        }
    })
}

/// The path of a program, which for people who are not root may be in a directory that is not in
/// their PATH.
pub(super) fn system_program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let administration = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(administration)
        .map(|dir| dir.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| PathBuf::from(name))
}

/// Runs a command to its end and returns what it printed to stdout.
///
/// # Errors
/// It can't be started, or ends with another status than 0: with what it printed to stderr.
pub(super) fn output_of(command: &mut Command) -> Result<String> {
    let bytes = bytes_of(command)?;
    String::from_utf8(bytes).with_context(|| format!("read the output of {command:?} as text"))
}

/// As [`output_of`], for output that is not text.
pub(super) fn bytes_of(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("start {command:?}"))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!(
            "{command:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&said).trim()
        );
    }
    Ok(output.stdout)
}

fn target_dir() -> PathBuf {
    // Relative to the root of the workspace, whichever package's tests are running.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The programs: every branch and comparison reports to libFuzzer, every access to memory is
//! checked.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Fuzz, TARGETS};
use crate::cargo::{PRODUCT, TARGET, Workspace};
use crate::command;

/// How long building may take, the fuzzer itself included.
const LIMIT: Duration = Duration::from_secs(900);

/// What cargo-fuzz tells the compiler, too.
const FLAGS: [&str; 7] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Zsanitizer=address",
];

/// The built targets; each has its name in this folder.
pub(super) struct Programs(pub(super) PathBuf);

impl Fuzz {
    /// Builds all targets, with the bugs that are planted for them or without.
    pub(super) fn build(&self, planted: bool) -> Result<Programs> {
        let mut cargo = self.cargo("build");
        if planted {
            cargo.args(["--features", "planted-bug"]);
        }
        command::run(&mut cargo, LIMIT)?;

        // The next build puts its own in the same place.
        let built = self.workspace.target.join(TARGET).join("debug");
        let folder = self.workspace.target.join(if planted { "planted" } else { "bin" });
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        for target in TARGETS {
            let copied = fs::copy(built.join(target.name), folder.join(target.name));
            copied.with_context(|| format!("copy {} to {}", target.name, folder.display()))?;
        }
        Ok(Programs(folder))
    }

    /// A cargo subcommand for all targets.
    fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = self.workspace.cargo(subcommand);
        cargo.args(["--locked", "--quiet", "--bins", "--target", TARGET]);
        cargo.env("RUSTFLAGS", FLAGS.join(" "));
        // The stable compiler has the sanitizer and its run-time library, but hides the option.
        cargo.env("RUSTC_BOOTSTRAP", "1");
        cargo
    }

    /// Has clippy look at the targets, and at what only they see of the libraries.
    ///
    /// # Errors
    /// It has something to say.
    pub(crate) fn clippy(&self, product: &Workspace) -> Result<()> {
        // With all the flags, or the fuzzer itself would be built once more.
        command::run(self.cargo("clippy").args(["--", "-D", "warnings"]), LIMIT)?;
        let mut cargo = product.cargo("clippy");
        cargo.args(["--quiet", "--lib", "-p", PRODUCT[0], "-p", PRODUCT[1], "--target-dir"]);
        cargo.arg(self.workspace.target.join("clippy"));
        cargo.args(["--", "-D", "warnings"]).env("RUSTFLAGS", FLAGS[0]);
        command::run(&mut cargo, LIMIT)
    }
}

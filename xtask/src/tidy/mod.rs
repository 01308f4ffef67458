// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `cargo xtask tidy`: the house rules that neither the compiler nor clippy knows.
//!
//! A file for each rule. A rule is a function from what it looks at to findings; each finding
//! names a file and a line.

mod arrows;
mod changelog;
mod claims;
pub(crate) mod code;
mod hosts;
mod lengths;
mod licences;
mod manifests;
mod options;
mod rooms;
mod sources;
mod spdx;
mod words;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::cargo::{APART, Workspace};
use sources::Source;

/// Check the house rules that neither the compiler nor clippy knows.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(Args {}: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let daemons = workspace.target.join("xtask/bin");
    let mut build = workspace.cargo("build");
    build.args(["--quiet", "--workspace"]);
    workspace.build_daemons(&mut build, &daemons, Duration::from_secs(600))?;
    check(&workspace, &daemons)?;
    println!("tidy");
    Ok(ExitCode::SUCCESS)
}

/// Where a rule is broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    file: String,
    line: usize,
    text: String,
    /// It is said, but nothing fails.
    advice: bool,
}

impl Finding {
    fn new(file: &str, line: usize, text: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, text: text.into(), advice: false }
    }

    fn advice(file: &str, line: usize, text: impl Into<String>) -> Self {
        Self { advice: true, ..Self::new(file, line, text) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = if self.advice { "advice: " } else { "" };
        write!(f, "{}:{}: {advice}{}", self.file, self.line, self.text)
    }
}

/// Applies all rules and prints what they find. `daemons` is where the built ones are.
///
/// # Errors
/// A rule is broken, or what it looks at can't be read.
pub(crate) fn check(workspace: &Workspace, daemons: &Path) -> Result<()> {
    let sources = sources::read(&workspace.root)?;
    let helps = options::helps(workspace, daemons)?;
    let apart = APART.iter().map(|folder| workspace.apart(folder)).collect::<Result<Vec<_>>>()?;
    let mut findings = Vec::new();
    for source in &sources {
        findings.extend(of_source(source));
    }
    for folder in APART {
        let path = format!("{folder}/Cargo.toml");
        let ours = text(&sources, "Cargo.toml");
        findings.extend(manifests::compare(&path, text(&sources, &path), ours));
    }
    findings.extend(arrows::check(workspace, &apart));
    for workspace in std::iter::once(workspace).chain(&apart) {
        findings.extend(licences::check(workspace, text(&sources, "deny.toml")));
    }
    findings.extend(options::check(&helps, &sources));
    let (model, tests) = (text(&sources, claims::MODEL), text(&sources, claims::TESTS));
    findings.extend(claims::check(claims::MODEL, model, tests));
    findings.extend(changelog::check("CHANGELOG.md", text(&sources, "CHANGELOG.md")));

    findings.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    for finding in &findings {
        println!("{finding}");
    }
    let broken = findings.iter().filter(|finding| !finding.advice).count();
    ensure!(broken == 0, "{broken} places break a house rule");
    Ok(())
}

/// The rules that look at one file.
fn of_source(source: &Source) -> Vec<Finding> {
    let Source { path, text } = source;
    let mut findings = Vec::from_iter(spdx::check(path, text));
    findings.extend(hosts::check(path, text));
    findings.extend(words::check(path, text));
    if path.ends_with(".rs") {
        findings.extend(lengths::check(path, text));
        findings.extend(rooms::check(path, text));
    }
    if path.ends_with("/Cargo.toml") {
        findings.extend(manifests::check(path, text));
    }
    findings
}

fn text<'a>(sources: &'a [Source], path: &str) -> &'a str {
    sources.iter().find(|source| source.path == path).map_or("", |source| source.text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finding_names_its_place() {
        assert_eq!(Finding::new("a.rs", 3, "is bad").to_string(), "a.rs:3: is bad");
        assert_eq!(Finding::advice("a.rs", 3, "is odd").to_string(), "a.rs:3: advice: is odd");
    }

    #[test]
    fn rules_for_rust_are_applied_to_rust_alone() {
        let text = "// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause\nunsafe {}\n".to_owned();
        let of = |path: &str| of_source(&Source { path: path.to_owned(), text: text.clone() });
        assert_eq!(of("vhost-user-blk/src/device.rs").len(), 1);
        assert_eq!(of("vhost-user-blk/src/device.c").len(), 0);
    }
}

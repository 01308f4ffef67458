// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Test binaries and the tests in them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Binary, Test};
use crate::cargo::{Package, Workspace};
use crate::command::{self, Ending};

/// What a build made.
#[derive(Debug, Default)]
pub(crate) struct Built {
    pub(crate) tests: Vec<Binary>,
    /// All that can be executed, the tests among it.
    pub(crate) executables: Vec<PathBuf>,
}

/// Builds the tests with `cargo`, a `cargo test` with its packages. `label` begins the names of
/// the binaries: empty, or `loom:` and the like.
///
/// # Errors
/// The build fails or takes longer than `limit`.
pub(crate) fn build(
    workspace: &Workspace,
    cargo: &mut Command,
    label: &str,
    limit: Duration,
) -> Result<Built> {
    cargo.args(["--no-run", "--message-format=json-render-diagnostics"]);
    let text = command::output(cargo, limit)?;
    let mut built = Built::default();
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let message: Value = serde_json::from_str(line).context("parse a message of cargo's")?;
        built.tests.extend(test_binary(&message, &workspace.packages, label));
        built.executables.extend(message["executable"].as_str().map(PathBuf::from));
    }
    built.tests.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(built)
}

/// The test binary that a message of cargo's tells of, if it does.
fn test_binary(message: &Value, packages: &[Package], label: &str) -> Option<Binary> {
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let executable = message["executable"].as_str()?;
    let package = packages.iter().find(|package| message["package_id"] == package.id.as_str())?;
    let target = message["target"]["name"].as_str()?;
    let kind = message["target"]["kind"][0].as_str()?;
    let target = match kind {
        "lib" => "lib".to_owned(),
        "test" => target.to_owned(),
        other => format!("{other}/{target}"),
    };
    Some(Binary {
        name: format!("{label}{}::{target}", package.name),
        executable: executable.into(),
        folder: package.folder.clone(),
    })
}

/// The tests of a binary.
///
/// # Errors
/// The binary doesn't list them.
pub(crate) fn list(binary: &Binary) -> Result<Vec<Test>> {
    let ignored = listed(&binary.executable, &["--ignored"])?;
    let tests = listed(&binary.executable, &[])?.into_iter().map(|path| Test {
        binary: binary.clone(),
        ignored: ignored.contains(&path),
        path,
    });
    Ok(tests.collect())
}

fn listed(executable: &Path, args: &[&str]) -> Result<Vec<String>> {
    let mut lister = Command::new(executable);
    lister.args(["--list", "--format", "terse"]).args(args);
    // It writes no profile of itself where coverage is measured.
    lister.env("LLVM_PROFILE_FILE", "/dev/null");
    let watched = command::watch(lister, Duration::from_secs(30))?;
    match watched.ending {
        Ending::Exit(status) if status.success() => {}
        ending => bail!("{} --list: {ending:?}: {}", executable.display(), watched.output),
    }
    let tests = watched.output.lines().filter_map(|line| line.strip_suffix(": test"));
    Ok(tests.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages() -> [Package; 1] {
        let (id, name) = ("path+file:///w/one#0.1.0".to_owned(), "one".to_owned());
        [Package { id, name, folder: "/w/one".into(), ..Package::default() }]
    }

    fn artifact(kind: &str, test: bool) -> Value {
        serde_json::json!({
            "reason": "compiler-artifact",
            "package_id": "path+file:///w/one#0.1.0",
            "target": { "kind": [kind], "name": "two" },
            "profile": { "test": test },
            "executable": "/w/target/debug/deps/two-123",
        })
    }

    #[test]
    fn binaries_are_named_after_package_and_target() {
        let name = |kind| test_binary(&artifact(kind, true), &packages(), "").unwrap().name;
        assert_eq!([name("lib"), name("test")], ["one::lib", "one::two"]);
        assert_eq!(name("bin"), "one::bin/two");
    }

    #[test]
    fn label_begins_the_name() {
        let binary = test_binary(&artifact("lib", true), &packages(), "loom:").unwrap();
        assert_eq!(binary.name, "loom:one::lib");
    }

    #[test]
    fn artifact_that_is_no_test_is_left_out() {
        assert!(test_binary(&artifact("bin", false), &packages(), "").is_none());
    }

    #[test]
    fn tests_of_this_very_binary_are_listed() {
        let binary = Binary {
            name: "xtask::bin/xtask".to_owned(),
            executable: std::env::current_exe().unwrap(),
            folder: ".".into(),
        };
        let tests = list(&binary).unwrap();
        let this = "suite::build::tests::tests_of_this_very_binary_are_listed";
        assert!(tests.iter().any(|test| test.path == this && !test.ignored));
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The workspace as cargo sees it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command;

/// The packages whose code is the product: what has an effect on somebody's machine.
pub(crate) const PRODUCT: [&str; 5] =
    ["vhost-user-device", "vhost-user-daemon", "vhost-user-blk", "vhost-user-fs-lib", "virtiofsd"];

/// A daemon that only tests start, and which is built like those of the product.
const STUB: &str = "vhost-user-stub";

/// What writes man pages and the like from the daemons' parsers.
pub(crate) const PAGES: &str = "vhost-user-pages";

/// The machines that the product is for.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Where the workspaces are that are no part of this one, and why they are not.
pub(crate) const APART: [&str; 2] = [
    // The compiler is told to have the fuzzer see what is executed.
    "fuzz",
    // It enables features of dependencies that the product must not have.
    "tests/oracle",
];

/// The feature that lets a test have a daemon end at a certain point of a request's life.
const HOOKS: &str = "test-hooks";

/// The workspace, its packages and all that they are built from.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// A package; of the workspace if `member`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) licence: Option<String>,
    pub(crate) folder: PathBuf,
    pub(crate) member: bool,
    pub(crate) binaries: Vec<String>,
    pub(crate) features: Vec<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A package that another one names in its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// For tests, examples and benchmarks only.
    pub(crate) dev: bool,
}

impl Workspace {
    /// The workspace around this program.
    ///
    /// # Errors
    /// cargo can't be run or says something unheard of.
    pub(crate) fn load() -> Result<Self> {
        // Where cargo runs it: with a target directory for several clones, that built it elsewhere.
        let package = std::env::var_os("CARGO_MANIFEST_DIR");
        let package = package.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&package).parent().context("xtask has a parent")?;
        Self::said_by(cargo(root, "metadata"))
    }

    /// One of the workspaces that are no part of this one, by its folder. It is built in a folder of
    /// this one's target directory.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) fn apart(&self, folder: &str) -> Result<Self> {
        let root = self.root.join(folder);
        let mut cargo = cargo(&root, "metadata");
        let name = root.file_name().context("a workspace apart has a name")?;
        cargo.env("CARGO_TARGET_DIR", self.target.join("xtask").join(name));
        cargo.arg("--locked");
        Self::said_by(cargo).with_context(|| format!("look at the workspace {folder}"))
    }

    fn said_by(mut metadata: Command) -> Result<Self> {
        // What is for other systems need not be fetched to be known.
        metadata.args(["--format-version", "1", "--filter-platform", TARGET]);
        let text = command::output(&mut metadata, Duration::from_secs(120))?;
        let metadata: Value = serde_json::from_str(&text).context("parse cargo metadata")?;
        Self::from_metadata(&metadata).context("cargo metadata lacks what it always has")
    }

    fn from_metadata(metadata: &Value) -> Option<Self> {
        let members = metadata["workspace_members"].as_array()?;
        let packages = metadata["packages"].as_array()?.iter();
        Some(Self {
            root: metadata["workspace_root"].as_str()?.into(),
            target: metadata["target_directory"].as_str()?.into(),
            packages: packages
                .map(|package| Package::from_metadata(package, members))
                .collect::<Option<_>>()?,
        })
    }

    /// A cargo subcommand, to be run at the root.
    ///
    /// The packages that are built together decide on the features of their dependencies: build
    /// the same ones each time, or the dependencies are built anew.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = cargo(&self.root, subcommand);
        // A workspace apart has another one than cargo would take.
        cargo.env("CARGO_TARGET_DIR", &self.target);
        cargo
    }

    /// The packages of the workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.member)
    }

    /// The packages that make a daemon: each has a binary of its own name.
    pub(crate) fn daemons(&self) -> impl Iterator<Item = &Package> {
        self.members().filter(|package| {
            PRODUCT.contains(&package.name.as_str()) && package.binaries.contains(&package.name)
        })
    }

    /// As [`Self::build_daemons`], with the hooks that only tests want.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn build_daemons_with_hooks(
        &self,
        cargo: &mut Command,
        folder: &Path,
        limit: Duration,
    ) -> Result<()> {
        for package in self.daemons().filter(|package| package.features.iter().any(|f| f == HOOKS))
        {
            cargo.arg("--features").arg(format!("{}/{HOOKS}", package.name));
        }
        self.build_daemons(cargo, folder, limit)
    }

    /// Builds the daemons with `cargo`, a `cargo build`, and copies them to a folder, where no
    /// later build replaces them.
    ///
    /// # Errors
    /// The build fails or takes longer than `limit`, or a file can't be copied.
    pub(crate) fn build_daemons(
        &self,
        cargo: &mut Command,
        folder: &Path,
        limit: Duration,
    ) -> Result<()> {
        command::run(cargo.arg("--bins"), limit)?;
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        // Programs that only tests start, or people who make packages.
        let others = [STUB, PAGES];
        let others = self.members().filter(|package| others.contains(&package.name.as_str()));
        for Package { name, .. } in self.daemons().chain(others) {
            let built = self.target.join("debug").join(name);
            let copy = folder.join(format!("{name}.new"));
            // Renamed into place: a daemon that still runs keeps the file that it was started from.
            fs::copy(&built, &copy)
                .and_then(|_| fs::rename(&copy, folder.join(name)))
                .with_context(|| format!("copy {} to {}", built.display(), folder.display()))?;
        }
        Ok(())
    }
}

impl Package {
    fn from_metadata(package: &Value, members: &[Value]) -> Option<Self> {
        let targets = package["targets"].as_array()?.iter();
        let binaries = targets.filter(|target| target["kind"][0] == "bin");
        let name = |value: &Value| value["name"].as_str().map(str::to_owned);
        let dependencies = package["dependencies"].as_array()?.iter();
        Some(Self {
            id: package["id"].as_str()?.to_owned(),
            name: name(package)?,
            version: package["version"].as_str()?.to_owned(),
            licence: package["license"].as_str().map(str::to_owned),
            folder: Path::new(package["manifest_path"].as_str()?).parent()?.to_owned(),
            member: members.contains(&package["id"]),
            binaries: binaries.filter_map(name).collect(),
            features: package["features"].as_object()?.keys().cloned().collect(),
            dependencies: dependencies
                .map(|dependency| {
                    let dev = dependency["kind"].as_str() == Some("dev");
                    Some(Dependency { name: name(dependency)?, dev })
                })
                .collect::<Option<_>>()?,
        })
    }
}

fn cargo(root: &Path, subcommand: &str) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.arg(subcommand).current_dir(root);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_of_a_small_workspace_is_understood() {
        let metadata = serde_json::json!({
            "workspace_root": "/w",
            "target_directory": "/w/target",
            "workspace_members": ["one 0.1.0"],
            "packages": [{
                "id": "one 0.1.0",
                "name": "one",
                "version": "0.1.0",
                "license": "MIT",
                "manifest_path": "/w/one/Cargo.toml",
                "targets": [{ "kind": ["lib"], "name": "one" }, { "kind": ["bin"], "name": "two" }],
                "features": { "test-hooks": [] },
                "dependencies": [{ "name": "log", "kind": null }, { "name": "loom", "kind": "dev" }],
            }],
        });
        let workspace = Workspace::from_metadata(&metadata).unwrap();
        let one = workspace.members().next().unwrap();
        assert_eq!(one.name, "one");
        assert_eq!(one.folder, Path::new("/w/one"));
        assert_eq!(one.binaries, ["two"]);
        assert_eq!(one.features, [HOOKS]);
        assert_eq!(one.dependencies[0], Dependency { name: "log".into(), dev: false });
        assert_eq!(one.dependencies[1], Dependency { name: "loom".into(), dev: true });
    }

    #[test]
    fn metadata_without_packages_is_refused() {
        assert!(Workspace::from_metadata(&serde_json::json!({ "workspace_root": "/" })).is_none());
    }
}

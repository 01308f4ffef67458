// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The fuzz target `daemon`: the whole of vhost-user-blk, over its socket. The front end that does it
//! is a program of the package of tests; here it is built, with the daemon in two ways, and run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{PRODUCT, TARGET, Workspace};
use crate::command::{self, Ending};

/// What the target is called.
pub(super) const NAME: &str = "daemon";

/// The package of the daemon, and its program.
const DAEMON: &str = PRODUCT[2];

/// The front end.
const FRONT_END: &str = "fuzz-daemon";

/// How long building may take.
const LIMIT: Duration = Duration::from_secs(900);

/// How long a run may take beyond what it was told: for a daemon that hangs, and for finding out which
/// steps break it.
const GRACE: Duration = Duration::from_secs(150);

/// How long each of four runs takes in the tests, which look beyond the corpus.
const WHILE_TESTING: Duration = Duration::from_secs(8);

/// The seed with which half of these runs begin. The others have another one each time.
const FIXED_SEED: u64 = 1;

/// The bugs that are planted in the daemon, each of another kind, and what is said when they are found.
const PLANTED: [(&str, &str); 5] = [
    ("piece", "bytes beside a region of memory were written"),
    ("sector", "the image has"),
    ("descriptor", "descriptors"),
    ("stop", "it answers no message"),
    ("limit", "lines of log"),
];

/// How long finding one of them may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// The compiler keeps a counter for each edge of our own packages, which the front end reads.
const COVERAGE: &str = r#"["--cfg=fuzzing","-Cpasses=sancov-module","-Cllvm-args=-sanitizer-coverage-level=3","-Cllvm-args=-sanitizer-coverage-inline-8bit-counters"]"#;

/// The target with its programs.
pub(crate) struct Daemon<'w> {
    workspace: &'w Workspace,
    folder: PathBuf,
}

/// How a daemon is built.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Build {
    /// As a release, but with overflow checks and debug assertions.
    Plain,
    /// With AddressSanitizer and counters for what is executed, and with the planted bugs, which sleep
    /// until the environment wakes one of them.
    Sanitized,
}

const BUILDS: [Build; 2] = [Build::Plain, Build::Sanitized];

/// How the front end looks for what breaks the daemon.
pub(super) struct Looking {
    pub(super) time: Duration,
    pub(super) seed: Option<u64>,
}

impl<'w> Daemon<'w> {
    pub(crate) fn new(workspace: &'w Workspace) -> Self {
        Self { workspace, folder: workspace.target.join("xtask/fuzz-daemon") }
    }

    /// Looks for what breaks the daemon: in half of the time as a release, in the other half under
    /// AddressSanitizer. What it did, in a line for each.
    pub(super) fn explore(&self, looking: &Looking) -> Result<Vec<String>> {
        self.build()?;
        let looking = Looking { time: looking.time / 2, ..*looking };
        BUILDS.into_iter().map(|build| self.look(build, &looking)).collect()
    }

    /// Plays a record again, against the daemon as it is built in both ways.
    pub(super) fn replay(&self, record: &Path) -> Result<()> {
        self.build()?;
        self.replay_built(record)
    }

    fn replay_built(&self, record: &Path) -> Result<()> {
        for build in BUILDS {
            let mut front_end = self.front_end(build);
            front_end.arg(format!("replay={}", record.display()));
            let watched = command::watch(front_end, GRACE)?;
            let fine = matches!(watched.ending, Ending::Exit(status) if status.success());
            ensure!(fine, "{}: {:?}\n{}", build.name(), watched.ending, watched.output);
            println!("{NAME}, {}: {} does not break it", build.name(), record.display());
        }
        Ok(())
    }

    /// What the tests want: the corpus, and some seconds with a seed that never changes and with one
    /// that always does.
    pub(super) fn test(&self) -> Result<()> {
        self.build()?;
        let corpus = self.workspace.root.join("fuzz/corpus").join(NAME);
        let entries =
            fs::read_dir(&corpus).with_context(|| format!("read {}", corpus.display()))?;
        let mut records = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        records.sort();
        ensure!(!records.is_empty(), "the corpus of {NAME} is empty");
        for record in &records {
            self.replay_built(record)?;
        }
        for seed in [Some(FIXED_SEED), None] {
            for build in BUILDS {
                self.look(build, &Looking { time: WHILE_TESTING, seed })?;
            }
        }
        Ok(())
    }

    /// Finds each of the bugs that are planted.
    pub(super) fn find_planted(&self) -> Result<()> {
        self.build()?;
        for (bug, words) in PLANTED {
            let mut front_end = self.front_end(Build::Sanitized);
            front_end.arg(format!("broke={}", self.made("broke-planted")?.display()));
            front_end.args([
                // It waits for a daemon that hangs, and is to find it soon.
                "patience=4".to_owned(),
                "shrink=no".to_owned(),
                format!("seconds={}", PATIENCE.as_secs()),
                format!("VHOST_USER_PLANTED_BUG={bug}"),
            ]);
            let watched = command::watch(front_end, PATIENCE + GRACE)?;
            let failed = matches!(watched.ending, Ending::Exit(status) if !status.success());
            let found = watched.output.lines().find(|line| line.starts_with("broke after"));
            let Some(found) = found.filter(|line| failed && line.contains(words)) else {
                bail!("{bug} was not found in {} s: {}", PATIENCE.as_secs(), watched.output);
            };
            println!("{NAME}: {bug}: {}", found.chars().take(160).collect::<String>());
        }
        Ok(())
    }

    /// One run of the front end, and what it said of itself.
    fn look(&self, build: Build, looking: &Looking) -> Result<String> {
        let mut front_end = self.front_end(build);
        front_end.arg(format!("seconds={}", looking.time.as_secs()));
        front_end.arg(format!("broke={}", self.made("broke")?.display()));
        front_end.args(looking.seed.map(|seed| format!("seed={seed}")));
        if build == Build::Sanitized {
            front_end.arg(format!("found={}", self.made("found")?.display()));
        }
        let watched = command::watch(front_end, looking.time + GRACE)?;
        let said = watched.output.trim_end();
        ensure!(
            matches!(watched.ending, Ending::Exit(status) if status.success()),
            "{}: {:?}\n{said}",
            build.name(),
            watched.ending
        );
        let line = format!("{NAME}, {}: {}", build.name(), said.replace('\n', "; "));
        println!("{line}");
        Ok(line)
    }

    /// Builds the front end, and the daemon in both ways.
    fn build(&self) -> Result<()> {
        // The same packages as for the tests, or their dependencies are built anew.
        let mut cargo = self.workspace.cargo("build");
        command::run(cargo.args(["--quiet", "--workspace", "--bins"]), LIMIT)?;
        BUILDS.into_iter().try_for_each(|build| command::run(&mut self.cargo(build), LIMIT))
    }

    /// The front end, for a daemon that is built like this.
    fn front_end(&self, build: Build) -> Command {
        let daemon = self.folder.join(build.name()).join(TARGET);
        let daemon = daemon.join("release").join(DAEMON);
        let mut front_end = Command::new(self.workspace.target.join("debug").join(FRONT_END));
        front_end.arg(format!("program={}", daemon.display()));
        if build == Build::Sanitized {
            front_end.arg("sanitized=yes");
        }
        front_end
    }

    /// The `cargo build` of the daemon.
    fn cargo(&self, build: Build) -> Command {
        let mut cargo = self.workspace.cargo("build");
        cargo.args(["--quiet", "--release", "--bins", "-p", DAEMON, "--target", TARGET]);
        cargo.arg("--target-dir").arg(self.folder.join(build.name()));
        // Optimised and linked as it is released, it would take minutes.
        cargo.env("CARGO_PROFILE_RELEASE_LTO", "off");
        cargo.env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true");
        cargo.env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only");
        if build == Build::Sanitized {
            cargo.args(["--features", "planted-bug", "-Zprofile-rustflags"]);
            for package in PRODUCT {
                let flags = format!("profile.release.package.{package}.rustflags={COVERAGE}");
                cargo.arg("--config").arg(flags);
            }
            cargo.env("RUSTFLAGS", "-Zsanitizer=address");
            // The stable compiler has the sanitizer and its run-time library, but hides the option.
            cargo.env("RUSTC_BOOTSTRAP", "1");
        }
        cargo
    }

    fn made(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(folder)
    }
}

impl Build {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Sanitized => "sanitized",
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `cargo xtask fuzz`: the targets of the workspace `fuzz`, built as cargo-fuzz builds them, but with
//! the compiler that builds all else.
//!
//! `build.rs` makes the programs, `run.rs` has one of them look for inputs that break it,
//! `minimise.rs` keeps those that are worth it. The target of `daemon.rs` is none of them: it is a
//! program of the tests, and breaks a daemon from outside.

mod build;
mod daemon;
mod minimise;
mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cargo::Workspace;
use daemon::Looking;

pub(crate) use daemon::Daemon;

/// How long the tests let each target look for more than its corpus has.
const WHILE_TESTING: Duration = Duration::from_secs(20);

/// How long a target may take to find the bug that is planted for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The targets, and what their steps of `cargo xtask test` are called.
const TARGETS: [Target; 4] = [
    Target {
        name: "chain",
        step: "fuzz target chain",
        planted: "bug planted for the fuzz target chain",
        bug: "room",
    },
    Target {
        name: "fuse",
        step: "fuzz target fuse",
        planted: "bug planted for the fuzz target fuse",
        bug: "source",
    },
    Target {
        name: "message",
        step: "fuzz target message",
        planted: "bug planted for the fuzz target message",
        bug: "payload",
    },
    Target {
        name: "ring",
        step: "fuzz target ring",
        planted: "bug planted for the fuzz target ring",
        bug: "piece",
    },
];

struct Target {
    name: &'static str,
    step: &'static str,
    planted: &'static str,
    /// What the bug is called that is planted for it.
    bug: &'static str,
}

/// Have the fuzz targets look for inputs that break them: `chain`, `fuse`, `message`, `ring`, and the whole
/// `daemon`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long each of them looks.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Begin with this seed instead of another one each time.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Only play a record again that broke the daemon.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["minimise", "targets"])]
    replay: Option<PathBuf>,
    /// Make the corpus anew, of what it has and what was found so far; not the daemon's.
    #[arg(long)]
    minimise: bool,
    /// Run only these.
    targets: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let names = || TARGETS.iter().map(|target| target.name).chain([daemon::NAME]);
    let unknown: Vec<_> =
        args.targets.iter().filter(|name| !names().any(|known| known == *name)).collect();
    ensure!(unknown.is_empty(), "there is no target {unknown:?}");
    let wanted = |name: &str| args.targets.is_empty() || args.targets.iter().any(|one| one == name);
    let product = Workspace::load()?;
    let daemon = Daemon::new(&product);
    if let Some(record) = &args.replay {
        daemon.replay(record)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut did = Vec::new();
    let time = Duration::from_secs(args.seconds);
    if TARGETS.iter().any(|target| wanted(target.name)) {
        let fuzz = Fuzz::new(&product)?;
        let programs = fuzz.build(false)?;
        for Target { name, .. } in TARGETS.iter().filter(|target| wanted(target.name)) {
            fuzz.replay(&programs, name)?;
            did.push(fuzz.explore(&programs, name, time, args.seed)?);
            if args.minimise {
                fuzz.minimise(&programs, name)?;
            }
        }
    }
    if wanted(daemon::NAME) {
        did.extend(daemon.explore(&Looking { time, seed: args.seed })?);
    }
    println!("\nNothing broke:\n{}", did.join("\n"));
    Ok(ExitCode::SUCCESS)
}

/// A step of `cargo xtask test`, to be taken when its turn comes.
pub(crate) type Check<'a> = (&'static str, Box<dyn FnOnce() -> Result<()> + 'a>);

/// The steps: each target replays its corpus and looks for more, and finds what is planted for it.
///
/// # Errors
/// The workspace `fuzz` can't be read.
pub(crate) fn checks<'f>(fuzz: &'f Fuzz, daemon: &'f Daemon<'f>) -> Vec<Check<'f>> {
    let mut checks: Vec<Check<'_>> = Vec::new();
    for Target { name, step, planted, bug } in TARGETS {
        checks.push((
            step,
            Box::new(move || {
                let programs = fuzz.build(false)?;
                fuzz.replay(&programs, name)?;
                fuzz.explore(&programs, name, WHILE_TESTING, None).map(drop)
            }),
        ));
        checks.push((
            planted,
            Box::new(move || fuzz.find_planted(&fuzz.build(true)?, (name, bug), PATIENCE)),
        ));
    }
    checks.push(("fuzz target daemon", Box::new(|| daemon.test())));
    checks.push(("bugs planted for the fuzz target daemon", Box::new(|| daemon.find_planted())));
    checks
}

/// The workspace `fuzz`, and where its programs and what they find are.
pub(crate) struct Fuzz {
    workspace: Workspace,
}

impl Fuzz {
    pub(crate) fn new(workspace: &Workspace) -> Result<Self> {
        Ok(Self { workspace: workspace.apart("fuzz")? })
    }

    /// The inputs of a target that are kept in the repository.
    fn corpus(&self, target: &str) -> PathBuf {
        self.workspace.root.join("corpus").join(target)
    }

    /// A folder for what a target finds, empty but for what it had before if it is `kept`.
    fn folder(&self, target: &str, kept: bool) -> Result<PathBuf> {
        let folder = self.workspace.target.join(target);
        if !kept {
            remove(&folder)?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(folder)
    }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("empty {}", folder.display()))
        }
        _ => Ok(()),
    }
}

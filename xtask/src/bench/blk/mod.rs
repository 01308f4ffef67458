// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `cargo xtask bench blk`: our block device beside others', and beside the file without any.
//!
//! A scenario (`scenario.rs`) is a load and all who are put under it, in turn, several times over
//! (`round.rs`). Their command lines are in `contestant.rs`; the load comes from the program
//! `bench-blk` of the tests. What came out is judged (`verdict.rs`) and told (`table.rs`,
//! `plot.rs`).

mod contestant;
mod daemon;
mod files;
mod fio;
mod load;
mod machine;
mod outcome;
mod pin;
mod plot;
mod round;
mod scenario;
mod statistics;
mod table;
mod verdict;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::cargo::Workspace;
use crate::command;
use contestant::Programs;
use outcome::Outcome;
use pin::Pin;
use round::Stage;
use scenario::{SCENARIOS, Scenario};

/// How long the set-up and the build may take together.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Measure the block device beside qemu-storage-daemon and fio.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Measure only this; may be given several times.
    #[arg(long, value_name = "SCENARIO")]
    only: Vec<String>,
    /// Measure this daemon, too: NAME=COMMAND, in which {socket} and {file} are replaced, and
    /// {direct} by true or false; without {direct} it has no part in what is about O_DIRECT.
    #[arg(long = "peer", value_name = "NAME=COMMAND")]
    peers: Vec<Peer>,
    /// How often each is measured.
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// How long each time.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How much memory is left is looked at after so many seconds.
    #[arg(long, default_value_t = 60.0)]
    memory_seconds: f64,
    /// Only a rough idea: --runs 3 --seconds 1 --memory-seconds 10.
    #[arg(long, conflicts_with_all = ["runs", "seconds", "memory_seconds"])]
    quick: bool,
    /// Make the files here, on a file system of a disk; without it, in the target directory.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The length of the file that is read, in MiB.
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// Measure this daemon as ours and don't build one.
    #[arg(long, value_name = "PROGRAM")]
    ours: Option<PathBuf>,
    /// Give the driver the first CPU for itself, and the others to whom it drives. Steadier, but
    /// who would rather share a CPU may not.
    #[arg(long)]
    pin: bool,
    /// Install nothing.
    #[arg(long)]
    no_setup: bool,
    /// Write the results here: blk.json, blk.md and blk.svg.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Put the results in docs/benchmarks.md and docs/benchmarks/blk.svg.
    #[arg(long, conflicts_with_all = ["only", "quick", "ours"])]
    docs: bool,
}

/// A daemon of others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Peer {
    name: String,
    command: String,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, command) = text.split_once('=').ok_or("it is NAME=COMMAND")?;
        if name.is_empty() || !command.contains("{socket}") || !command.contains("{file}") {
            return Err("it is NAME=COMMAND, with {socket} and {file} in the command".to_owned());
        }
        Ok(Self { name: name.to_owned(), command: command.to_owned() })
    }
}

impl Args {
    fn times(&self) -> Times {
        if self.quick {
            return Times { runs: 3, seconds: 1.0, memory_seconds: 10.0 };
        }
        let Self { runs, seconds, memory_seconds, .. } = *self;
        Times { runs, seconds, memory_seconds }
    }

    /// The scenarios that are wanted.
    fn scenarios(&self) -> Result<Vec<&'static Scenario>> {
        let names = SCENARIOS.iter().map(|scenario| scenario.name).collect::<Vec<_>>();
        for name in &self.only {
            ensure!(names.contains(&name.as_str()), "{name}: it is one of {}", names.join(", "));
        }
        let wanted =
            |it: &&Scenario| self.only.is_empty() || self.only.iter().any(|name| name == it.name);
        Ok(SCENARIOS.iter().filter(wanted).collect())
    }
}

/// How often, and how long.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Times {
    runs: u32,
    seconds: f64,
    memory_seconds: f64,
}

pub(super) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let (scenarios, times) = (args.scenarios()?, args.times());
    ensure!(times.runs > 0 && times.seconds > 0.0, "nothing to measure");
    if !args.no_setup {
        let mut setup = Command::new(workspace.root.join("tests/setup"));
        setup.arg("bench").env("CARGO_TARGET_DIR", &workspace.target);
        command::run(&mut setup, LIMIT)?;
    }
    build(workspace, args.ours.is_some())?;
    let programs = Programs::find(workspace, args.ours.as_deref())?;
    let folder = args.dir.clone().unwrap_or_else(|| workspace.target.join("xtask/bench"));
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let folder = fs::canonicalize(&folder).context("the path of the folder for the files")?;

    let pinned = if args.pin { "; the driver on a CPU of its own" } else { "" };
    let Times { runs, seconds, .. } = times;
    let machine = machine::describe(&folder, &programs)?;
    let machine = format!("{machine}\n{runs} runs of {seconds} s each{pinned}");
    println!("{machine}");
    let pin = args.pin.then(Pin::new).transpose()?;
    let stage = Stage::new(programs, folder, args.mib << 20, &args.peers, times, pin)?;
    let mut outcomes = Vec::new();
    for scenario in scenarios {
        println!("{}: {}", scenario.name, scenario.title);
        let outcome = stage.measure(scenario)?;
        println!("\n{}", table::of_scenario(&outcome));
        outcomes.push(outcome);
    }
    drop(stage);

    println!("{}", table::summary(&outcomes));
    if let Some(out) = &args.out {
        write(out, &machine, &outcomes)?;
    }
    if args.docs {
        publish(&workspace.root.join("docs"), &machine, &outcomes)?;
    }
    let failed = outcomes.iter().any(Outcome::failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Builds our daemons, unless another one is measured, and the load generator.
fn build(workspace: &Workspace, without_ours: bool) -> Result<()> {
    let mut build = workspace.cargo("build");
    build.args(["--release", "--bins", "-p", "vhost-user-tests"]);
    if !without_ours {
        workspace.daemons().for_each(|daemon| {
            build.args(["-p", &daemon.name]);
        });
    }
    command::run(&mut build, LIMIT)
}

fn write(out: &Path, machine: &str, outcomes: &[Outcome]) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("make {}", out.display()))?;
    let save = |name: &str, text: String| {
        let path = out.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    };
    save("blk.json", outcome::json(machine, outcomes))?;
    save("blk.md", table::page(machine, outcomes, "blk.svg"))?;
    save("blk.svg", plot::svg(outcomes))
}

/// What stands before and after the results in docs/benchmarks.md.
const MARKS: [&str; 2] = ["<!-- results of blk: begin -->\n", "<!-- results of blk: end -->"];

fn publish(docs: &Path, machine: &str, outcomes: &[Outcome]) -> Result<()> {
    let page = docs.join("benchmarks.md");
    let text = fs::read_to_string(&page).with_context(|| format!("read {}", page.display()))?;
    let text = replaced(&text, &table::page(machine, outcomes, "benchmarks/blk.svg"))?;
    fs::write(&page, text).with_context(|| format!("write {}", page.display()))?;
    let plot = docs.join("benchmarks/blk.svg");
    fs::create_dir_all(docs.join("benchmarks")).context("make the folder of the plots")?;
    fs::write(&plot, plot::svg(outcomes)).with_context(|| format!("write {}", plot.display()))
}

/// The page with other results between the marks.
fn replaced(page: &str, results: &str) -> Result<String> {
    let (before, rest) = page.split_once(MARKS[0]).context("no mark before the results")?;
    let (_, after) = rest.split_once(MARKS[1]).context("no mark after the results")?;
    Ok([before, MARKS[0], "\n", results.trim(), "\n\n", MARKS[1], after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_is_a_name_and_a_command_with_places_for_socket_and_file() {
        let peer: Peer = "ch=vub --block-backend path={file},socket={socket}".parse().unwrap();
        assert_eq!(peer.name, "ch");
        assert_eq!(peer.command, "vub --block-backend path={file},socket={socket}");
        for wrong in ["ch", "ch=vub {file}", "=vub {file} {socket}"] {
            assert!(wrong.parse::<Peer>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn results_are_put_between_the_marks() {
        let page = format!("a\n{}old\n{}\nb\n", MARKS[0], MARKS[1]);
        let wanted = format!("a\n{}\nnew\n\n{}\nb\n", MARKS[0], MARKS[1]);
        let once = replaced(&page, "new\n").unwrap();
        assert_eq!(once, wanted);
        assert_eq!(replaced(&once, "new\n").unwrap(), wanted);
        assert!(replaced("a\n", "new").is_err());
    }
}

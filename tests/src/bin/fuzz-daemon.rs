// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The fuzz target `daemon` of `cargo xtask fuzz`: a front end that does everything to a built daemon
//! that no front end should. It ends with 1 if the daemon breaks, and has written down what broke it.
//!
//! ```text
//! fuzz-daemon program=PATH broke=FOLDER [seconds=N] [seed=N] [found=FOLDER] [sanitized=yes]
//!     [patience=SECONDS] [shrink=no] [NAME=VALUE for the daemon's environment]
//! fuzz-daemon program=PATH replay=PATH [sanitized=yes]
//! ```

#![expect(clippy::print_stdout, reason = "whoever started it reads what it found")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context, Result};
use vhost_user_tests::deadline::PATIENCE;
use vhost_user_tests::fuzz::{Abilities, Broken, Hunt, Record, Tally, Target, keep_panics_quiet};
use vhost_user_tests::random::Random;

/// How often a record is played again.
const TIMES: u32 = 3;

fn main() -> Result<ExitCode> {
    keep_panics_quiet();
    let words: Vec<String> = env::args().skip(1).collect();
    let said: HashMap<&str, &str> = words.iter().filter_map(|word| word.split_once('=')).collect();
    let hunt = hunt(&said)?;
    if let Some(path) = said.get("replay") {
        return replay(&hunt, Path::new(path));
    }
    let broke = Path::new(said.get("broke").context("broke=FOLDER is missing")?);
    look(&hunt, broke, said.get("shrink") != Some(&"no"))
}

fn hunt(said: &HashMap<&str, &str>) -> Result<Hunt> {
    let program = PathBuf::from(said.get("program").context("program=PATH is missing")?);
    let number = |name: &str| said.get(name).map(|word| word.parse::<u64>()).transpose();
    let is_variable =
        |name: &str| name.chars().all(|char| char.is_ascii_uppercase() || char == '_');
    let environment = said.iter().filter(|(name, _)| is_variable(name));
    let environment = environment.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let sanitized = said.contains_key("sanitized");
    let patience = number("patience")?.map_or(PATIENCE, Duration::from_secs);
    let abilities = Abilities::of(&program, sanitized)?;
    let target = Target { program, environment: environment.collect(), abilities, patience };
    Ok(Hunt {
        target,
        seed: number("seed")?.unwrap_or_else(Random::seed),
        time: Duration::from_secs(number("seconds")?.unwrap_or(60)),
        found: said.get("found").map(PathBuf::from),
    })
}

/// Looks for what breaks the daemon.
fn look(hunt: &Hunt, broke: &Path, shrink: bool) -> Result<ExitCode> {
    println!("seed {}", hunt.seed);
    let started = Instant::now();
    match hunt.run() {
        Ok(tally) => {
            tell(&tally, started.elapsed());
            Ok(ExitCode::SUCCESS)
        }
        Err(broken) => {
            println!("broke after {:.1} s: {}", started.elapsed().as_secs_f64(), broken.fault.what);
            write_down(hunt, broke, &broken, shrink)?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn tell(tally: &Tally, took: Duration) {
    let Tally { lives, rounds, messages, requests, connections, words, .. } = tally;
    let Tally { well, ill, edges, kept, .. } = tally;
    let per_second = |count: &u64| *count as f64 / took.as_secs_f64();
    println!(
        "{lives} daemons, {rounds} rounds ({:.0} a second), {connections} connections, {messages} \
         messages ({:.0} a second), {requests} requests ({:.0} a second; of those looked at {well} \
         ended well and {ill} otherwise), {words} words rewritten",
        per_second(rounds),
        per_second(messages),
        per_second(requests),
    );
    if edges.1 > 0 {
        println!("{} of {} edges, {kept} scripts kept", edges.0, edges.1);
    }
}

fn write_down(hunt: &Hunt, broke: &Path, broken: &Broken, shrink: bool) -> Result<()> {
    fs::create_dir_all(broke).with_context(|| format!("make {}", broke.display()))?;
    let name = format!("{}-{}", hunt.seed, std::process::id());
    let write = |kind: &str, record: &Record| -> Result<()> {
        let path = broke.join(format!("{name}{kind}.txt"));
        let text = format!("# {}\n{record}", broken.fault.what);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        println!("written to {}", path.display());
        Ok(())
    };
    write("", &broken.record)?;
    if let Some(seed) = broken.seed {
        println!("again by its seed: --seed {seed}");
    }
    let last = broken.fault.log.lines().rev().take(80).collect::<Vec<_>>();
    let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
    println!("--- the daemon's log, the end of it:\n{last}\n---");
    if shrink {
        match hunt.shrink(&broken.record) {
            Some(record) => write("-shrunk", &record)?,
            None => println!("played again, it does not break"),
        }
    }
    Ok(())
}

/// Plays a record again, a few times: not each time do two threads meet.
fn replay(hunt: &Hunt, path: &Path) -> Result<ExitCode> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let record = Record::parse(&text).with_context(|| format!("read {}", path.display()))?;
    for time in 1..=TIMES {
        match hunt.replay(&record) {
            Ok(log) if time == TIMES => println!("{log}"),
            Ok(_) => (),
            Err(fault) => {
                println!("{}: {}\n{}", path.display(), fault.what, fault.log);
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    println!("{}: it does not break", path.display());
    Ok(ExitCode::SUCCESS)
}

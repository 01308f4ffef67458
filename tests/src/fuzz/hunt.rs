// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Life after life, until the time is over or a daemon has broken; then the fewest rounds and steps
//! that break it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::author::Author;
use super::coverage::Coverage;
use super::life::{Fault, Life, Target};
use super::player::Played;
use super::record::Record;
use super::script::Script;
use super::setting::{Abilities, Setting};
use crate::random::Random;

/// How many rounds are played against one daemon.
const ROUNDS: u64 = 100;

/// How long fewer steps are looked for that break it, too.
const SHRINKING: Duration = Duration::from_secs(40);

/// How often a record is played that broke a daemon, before it is believed that it does not.
const TRIES: u32 = 3;

/// What is looked for, where and for how long.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// The daemon.
    pub target: Target,
    /// The seed of the first life; the others have the numbers after it.
    pub seed: u64,
    /// How long lives are begun.
    pub time: Duration,
    /// Where scripts are kept that reached something new.
    pub found: Option<PathBuf>,
}

/// What was done, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Daemons that were started, and ended by SIGTERM.
    pub lives: u64,
    /// Rounds that were played.
    pub rounds: u64,
    /// Messages that were sent.
    pub messages: u64,
    /// Requests that were made available.
    pub requests: u64,
    /// Of the last requests of each round, those that ended well, and those that ended otherwise.
    pub well: u64,
    /// See there.
    pub ill: u64,
    /// Connections that were made.
    pub connections: u64,
    /// Words of shared memory that were rewritten meanwhile.
    pub words: u64,
    /// The edges of the program that were taken, and how many there are.
    pub edges: (usize, usize),
    /// How many scripts are kept because they reached something new.
    pub kept: usize,
}

/// A daemon broke.
#[derive(Debug)]
pub struct Broken {
    /// What it did.
    pub fault: Fault,
    /// All that was done to it.
    pub record: Record,
    /// The seed of its life, if that alone says what was done.
    pub seed: Option<u64>,
}

impl Hunt {
    /// Begins lives until the time is over.
    ///
    /// # Errors
    /// A daemon broke.
    pub fn run(&self) -> Result<Tally, Box<Broken>> {
        let started = Instant::now();
        let mut tally = Tally::default();
        let mut kept = self.found.as_deref().map(read).unwrap_or_default();
        let mut coverage = Coverage::new();
        let mut seed = self.seed;
        while started.elapsed() < self.time || tally.lives == 0 {
            // Every other one is made up of nothing but its seed.
            let bred = tally.lives % 2 == 1 && !kept.is_empty();
            let mut lived = Lived::new(seed, self.target.abilities, if bred { &kept } else { &[] });
            let outcome = self.live(&mut lived, &mut tally, &mut coverage, started);
            tally.lives += 1;
            if let Err(fault) = outcome {
                let seed = (!bred).then_some(seed);
                return Err(Box::new(Broken { fault, record: lived.record, seed }));
            }
            for script in lived.new {
                self.keep(&script, kept.len());
                kept.push(script);
            }
            seed = seed.wrapping_add(1);
        }
        (tally.edges, tally.kept) = (coverage.edges(), kept.len());
        Ok(tally)
    }

    /// One daemon from start to end.
    fn live(
        &self,
        lived: &mut Lived<'_>,
        tally: &mut Tally,
        coverage: &mut Coverage,
        started: Instant,
    ) -> Result<(), Fault> {
        let mut target = self.target.clone();
        target.environment.extend(coverage.environment());
        let mut life = Life::begin(&target, &lived.record.setting)?;
        coverage.look();
        for _ in 0..ROUNDS {
            let script = lived.next();
            let Played { messages, requests, connections, ended } = life.round(&script)?;
            tally.rounds += 1;
            tally.messages += messages;
            tally.requests += requests;
            tally.connections += connections;
            (tally.well, tally.ill) = (tally.well + ended[0], tally.ill + ended[1]);
            if coverage.look() {
                lived.new.push(script);
            }
            if started.elapsed() > self.time {
                break;
            }
        }
        tally.words += life.rewritten();
        let script = lived.next();
        lived.record.ends = true;
        life.end(&script).map(drop)
    }

    /// Plays a record again, once; what the daemon said to it.
    ///
    /// # Errors
    /// The daemon breaks.
    pub fn replay(&self, record: &Record) -> Result<String, Fault> {
        let mut life = Life::begin(&self.target, &record.setting)?;
        let (rounds, last) = match record.rounds.split_last() {
            Some((last, rounds)) if record.ends => (rounds, Some(last)),
            _ => (record.rounds.as_slice(), None),
        };
        for script in rounds {
            life.round(script)?;
        }
        let nothing = Script { seed: 0, steps: Vec::new() };
        life.end(last.unwrap_or(&nothing))
    }

    /// The fewest rounds and steps of a record that break the daemon as well, as far as they are
    /// found in time; `None` if it breaks no more.
    pub fn shrink(&self, record: &Record) -> Option<Record> {
        let started = Instant::now();
        let breaks = |record: &Record| {
            (0..TRIES).any(|_| started.elapsed() < SHRINKING && self.replay(record).is_err())
        };
        let mut best = record.clone();
        // The last round alone, as a rule.
        let last =
            Record { rounds: record.rounds.last().cloned().into_iter().collect(), ..best.clone() };
        if breaks(&last) {
            best = last;
        } else if !breaks(record) {
            return None;
        }
        fewer(&mut best, |record| &mut record.rounds, &breaks);
        for round in 0..best.rounds.len() {
            fewer(&mut best, |record| &mut record.rounds[round].steps, &breaks);
        }
        Some(best)
    }

    fn keep(&self, script: &Script, number: usize) {
        let Some(folder) = &self.found else { return };
        let setting = Setting { options: Vec::new(), image: 0 };
        let record = Record { setting, rounds: vec![script.clone()], ends: false };
        // Without it the next run begins with less.
        let _ = fs::write(folder.join(format!("{number:05}.txt")), record.to_string());
    }
}

/// Takes away from a list of a record what is not needed for it to break: halves at first.
fn fewer<T: Clone>(
    best: &mut Record,
    list: impl Fn(&mut Record) -> &mut Vec<T>,
    breaks: &impl Fn(&Record) -> bool,
) {
    let mut len = list(best).len() / 2;
    while len > 0 {
        let mut at = 0;
        while at < list(best).len() {
            let mut fewer = best.clone();
            let these = list(&mut fewer);
            these.drain(at..(at + len).min(these.len()));
            if breaks(&fewer) {
                *best = fewer;
            } else {
                at += len;
            }
        }
        len /= 2;
    }
}

/// The scripts that are kept in a folder.
fn read(folder: &Path) -> Vec<Script> {
    let texts = || -> io::Result<Vec<String>> {
        let entries = fs::read_dir(folder)?;
        let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        paths.iter().map(fs::read_to_string).collect()
    };
    let records = texts().unwrap_or_default();
    records.iter().filter_map(|text| Record::parse(text).ok()).flat_map(|one| one.rounds).collect()
}

/// A life, as it is being lived.
struct Lived<'k> {
    author: Author,
    kept: &'k [Script],
    record: Record,
    new: Vec<Script>,
}

impl<'k> Lived<'k> {
    fn new(seed: u64, can: Abilities, kept: &'k [Script]) -> Self {
        let setting = Setting::of(&mut Random::of(seed), can);
        let record = Record { setting, rounds: Vec::new(), ends: false };
        Self { author: Author::of(seed), kept, record, new: Vec::new() }
    }

    fn next(&mut self) -> Script {
        let script = match self.kept {
            [] => self.author.script(),
            kept => self.author.changed(kept),
        };
        self.record.rounds.push(script.clone());
        script
    }
}

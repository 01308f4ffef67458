// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The runs: all contestants in turn, again and again, so that what the machine does meanwhile is
//! everybody's.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::contestant::{self, Programs, SOCKET, typed};
use super::daemon::Daemon;
use super::files::Files;
use super::fio;
use super::load::{self, Generator};
use super::outcome::{Measured, Outcome, Run};
use super::pin::Pin;
use super::scenario::{Contestant, Disk, Scenario};
use super::statistics::{self, Spread};
use super::{Peer, Times};

/// How often a run is tried that touches the disk where it should not.
const TRIES: u32 = 6;
/// How often the driver's own ceiling is measured.
const CEILINGS: u32 = 3;

/// Everything that the runs share.
#[derive(Debug)]
pub(super) struct Stage {
    programs: Programs,
    folder: PathBuf,
    files: Files,
    peers: Vec<Peer>,
    times: Times,
    pin: Option<Pin>,
}

impl Stage {
    /// In `folder`, with a file of `len` bytes to be read.
    ///
    /// # Errors
    /// See [`Files::new`].
    pub(super) fn new(
        programs: Programs,
        folder: PathBuf,
        len: u64,
        peers: &[Peer],
        times: Times,
        pin: Option<Pin>,
    ) -> Result<Self> {
        let files = Files::new(folder.clone(), len)?;
        Ok(Self { programs, folder, files, peers: peers.to_vec(), times, pin })
    }

    /// Measures everybody in a scenario. Who fails is left out from then on.
    ///
    /// # Errors
    /// The files can't be made, or the driver alone can't be measured.
    pub(super) fn measure(&self, scenario: &'static Scenario) -> Result<Outcome> {
        let of_memory = scenario.is_of_memory();
        let ceiling = if of_memory { None } else { self.ceiling(scenario)? };
        let mut measured = self.contestants(scenario);
        let runs = if of_memory { 1 } else { self.times.runs };
        for run in 1..=runs {
            let mut said = Vec::new();
            let mut order: Vec<&mut Measured> = measured.iter_mut().collect();
            // Nobody always comes after the same other one.
            if run % 2 == 0 {
                order.reverse();
            }
            for it in order.into_iter().filter(|it| it.failure.is_none()) {
                match self.until_undisturbed(it, scenario) {
                    Ok(run) => {
                        said.push(format!("{} {}", it.name, statistics::rate(run.rate)));
                        it.runs.push(run);
                    }
                    Err(error) => {
                        said.push(format!("{} failed", it.name));
                        it.failure = Some(format!("{error:#}"));
                    }
                }
            }
            println!("  run {run} of {runs}: {}", said.join(", "));
        }
        Ok(Outcome { scenario, measured, ceiling })
    }

    /// All who have a part in the scenario.
    fn contestants(&self, scenario: &Scenario) -> Vec<Measured> {
        let peers = (0..self.peers.len()).map(Contestant::Peer);
        let all = scenario.contestants.iter().flat_map(|it| self.versions(*it)).chain(peers);
        let measured = |contestant: Contestant| {
            let command = self.described(contestant, scenario)?;
            Some(Measured {
                contestant,
                name: contestant.name(&self.programs.qsds, &self.peers),
                command,
                runs: Vec::new(),
                discarded: 0,
                failure: None,
            })
        };
        all.filter_map(measured).collect()
    }

    /// It, in each version that there is.
    fn versions(&self, contestant: Contestant) -> Vec<Contestant> {
        match contestant {
            Contestant::Qsd(aio, _) => {
                (0..self.programs.qsds.len()).map(|which| Contestant::Qsd(aio, which)).collect()
            }
            other => vec![other],
        }
    }

    /// The command line of a contestant; `None` if it has no part in the scenario.
    fn described(&self, contestant: Contestant, scenario: &Scenario) -> Option<String> {
        let seconds = self.times.seconds;
        match contestant {
            Contestant::Bare => Some(bare(scenario, "FILE", seconds).join(" ")),
            Contestant::Fio(engine) => {
                Some(typed(&fio::command(engine, scenario, "FILE", seconds)))
            }
            _ => self.daemon(contestant, scenario, "FILE").as_ref().map(typed),
        }
    }

    fn daemon(&self, contestant: Contestant, scenario: &Scenario, file: &str) -> Option<Command> {
        contestant::command(contestant, scenario, &self.programs, &self.peers, file)
    }

    /// A run that found everything in the page cache, if that is where it should be.
    fn until_undisturbed(&self, measured: &mut Measured, scenario: &Scenario) -> Result<Run> {
        for _ in 0..TRIES {
            let run = self.run(measured.contestant, scenario)?;
            if scenario.disk == Disk::Direct || run.fetched == 0 {
                return Ok(run);
            }
            println!(
                "  discarded a run of {}: {} bytes came from the disk",
                measured.name, run.fetched
            );
            measured.discarded += 1;
        }
        bail!("{TRIES} runs touched the disk")
    }

    fn run(&self, contestant: Contestant, scenario: &Scenario) -> Result<Run> {
        let is_fio = matches!(contestant, Contestant::Fio(_));
        let file = self.files.ready(self.generator(), scenario.disk, is_fio)?;
        let seconds = self.times.seconds;
        match contestant {
            Contestant::Fio(engine) => {
                let command = self.pinned(fio::command(engine, scenario, file, seconds));
                fio::run(command, &self.folder, seconds)
            }
            Contestant::Bare => {
                let said = self.generator().ask(&bare(scenario, file, seconds), seconds)?;
                let rate = load::rate(&said).context("no rate of a pread loop")?;
                Ok(Run { rate, cpu: Some(1e6 / rate), memory: None, fetched: 0, checked: 0 })
            }
            _ => {
                let command = self.daemon(contestant, scenario, file);
                self.run_of_a_daemon(command.context("a daemon without a command")?, scenario)
            }
        }
    }

    fn run_of_a_daemon(&self, command: Command, scenario: &Scenario) -> Result<Run> {
        let Times { seconds, memory_seconds, .. } = self.times;
        let seconds = if scenario.is_of_memory() { memory_seconds } else { seconds };
        let daemon = Daemon::start(self.pinned(command), &self.folder)?;
        let mut words = scenario.load.words(SOCKET);
        words.extend(Files::contents(scenario.disk));
        words.extend([format!("seconds={seconds}"), format!("pid={}", daemon.pid())]);
        let said = self.driver().ask(&words, seconds)?;
        load::run(&said).with_context(|| format!("understand the load generator: {said}"))
    }

    /// What the driver could do if the device took no time.
    fn ceiling(&self, scenario: &Scenario) -> Result<Option<Spread>> {
        let words = ["ceiling", &format!("depth={}", scenario.load.depth), "device=thread"];
        let words = words.map(str::to_owned);
        let ask = |_| -> Result<Option<f64>> {
            let said: Value = self.generator().ask(&words, 1.0)?;
            Ok(load::rate(&said))
        };
        let rates = (0..CEILINGS).map(ask).collect::<Result<Vec<_>>>()?;
        Ok(Spread::of(rates.into_iter().flatten()))
    }

    fn pinned(&self, command: Command) -> Command {
        match &self.pin {
            Some(pin) => pin.driven(&command),
            None => command,
        }
    }

    /// The load generator as a driver of somebody else.
    fn driver(&self) -> Generator<'_> {
        Generator { pin: self.pin.as_ref(), ..self.generator() }
    }

    fn generator(&self) -> Generator<'_> {
        Generator { program: &self.programs.load, folder: &self.folder, pin: None }
    }
}

/// What the load generator is told for a loop of pread(2).
fn bare(scenario: &Scenario, file: &str, seconds: f64) -> Vec<String> {
    let load = scenario.load;
    let words = ["bare".to_owned(), format!("file={file}"), format!("block={}", load.block)];
    let times = [format!("depth={}", load.depth), format!("seconds={seconds}")];
    words.into_iter().chain(times).collect()
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What came out.

use serde_json::{Value, json};

use super::scenario::{Contestant, Scenario};
use super::statistics::Spread;
use super::verdict::{self, Verdict};

/// One run of one contestant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    /// Requests per second.
    pub(super) rate: f64,
    /// Seconds of processor time for a million requests.
    pub(super) cpu: Option<f64>,
    /// MiB of anonymous memory and of files that the daemon has at the end.
    pub(super) memory: Option<f64>,
    /// Bytes that were fetched from a disk.
    pub(super) fetched: u64,
    /// Requests whose contents were looked at.
    pub(super) checked: u64,
}

/// All runs of one contestant.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) contestant: Contestant,
    pub(super) name: String,
    pub(super) command: String,
    pub(super) runs: Vec<Run>,
    /// Runs that touched the disk where they should not.
    pub(super) discarded: u32,
    /// Why it was not measured (any further).
    pub(super) failure: Option<String>,
}

impl Measured {
    pub(super) fn rate(&self) -> Option<Spread> {
        Spread::of(self.runs.iter().map(|run| run.rate))
    }

    pub(super) fn cpu(&self) -> Option<Spread> {
        Spread::of(self.runs.iter().filter_map(|run| run.cpu))
    }

    pub(super) fn memory(&self) -> Option<Spread> {
        Spread::of(self.runs.iter().filter_map(|run| run.memory))
    }

    fn json(&self) -> Value {
        let runs = self.runs.iter().map(|run| {
            json!({
                "requests_per_second": run.rate,
                "cpu_seconds_per_million": run.cpu,
                "memory_mib": run.memory,
                "checked": run.checked,
            })
        });
        json!({
            "name": self.name,
            "command": self.command,
            "runs": runs.collect::<Vec<_>>(),
            "discarded": self.discarded,
            "failure": self.failure,
        })
    }
}

/// A scenario with all its runs.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) scenario: &'static Scenario,
    pub(super) measured: Vec<Measured>,
    /// What the driver could do with a device that takes no time.
    pub(super) ceiling: Option<Spread>,
}

impl Outcome {
    /// Ours; it is always the first.
    pub(super) fn ours(&self) -> Option<&Measured> {
        self.measured.first()
    }

    /// Whether something could not be measured.
    pub(super) fn failed(&self) -> bool {
        self.measured.iter().any(|measured| measured.failure.is_some())
    }

    /// Its targets, with what came out.
    pub(super) fn verdicts(&self) -> Vec<Verdict> {
        self.scenario.targets.iter().map(|target| verdict::of(*target, self)).collect()
    }

    fn json(&self) -> Value {
        let verdicts = self.verdicts().into_iter();
        let verdicts =
            verdicts.map(|it| json!({ "target": it.wanted, "got": it.got, "met": it.met }));
        json!({
            "name": self.scenario.name,
            "title": self.scenario.title,
            "ceiling": self.ceiling.map(|ceiling| ceiling.median),
            "contestants": self.measured.iter().map(Measured::json).collect::<Vec<_>>(),
            "targets": verdicts.collect::<Vec<_>>(),
        })
    }
}

/// All of it for other programs.
pub(super) fn json(machine: &str, outcomes: &[Outcome]) -> String {
    let scenarios: Vec<Value> = outcomes.iter().map(Outcome::json).collect();
    format!("{:#}\n", json!({ "machine": machine, "scenarios": scenarios }))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::bench::blk::scenario::SCENARIOS;

    /// An outcome of the scenario `name`, in which everybody has these rates, times the place in
    /// the list, and needs a microsecond of processor time times that place.
    pub(in crate::bench::blk) fn outcome(name: &str, rates: &[f64]) -> Outcome {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
        let measured = scenario.contestants.iter().zip(1u8..).map(|(contestant, place)| {
            let place = f64::from(place);
            let runs = rates.iter().map(|rate| Run {
                rate: rate * place,
                cpu: Some(place),
                memory: Some(place),
                fetched: 0,
                checked: 7,
            });
            Measured {
                contestant: *contestant,
                name: contestant.name(&[], &[]),
                command: format!("run {place}"),
                runs: runs.collect(),
                discarded: 0,
                failure: None,
            }
        });
        Outcome { scenario, measured: measured.collect(), ceiling: Spread::of([1e7]) }
    }

    #[test]
    fn json_has_every_run_and_every_target() {
        let text = json("a machine", &[outcome("cached-read", &[1e5, 3e5, 2e5])]);
        let value: Value = serde_json::from_str(&text).unwrap();
        let scenario = &value["scenarios"][0];
        assert_eq!(value["machine"], "a machine");
        assert_eq!(scenario["contestants"][1]["runs"][1]["requests_per_second"], 6e5);
        assert_eq!(scenario["targets"].as_array().unwrap().len(), 3);
        assert_eq!(scenario["targets"][2]["met"], true);
    }
}

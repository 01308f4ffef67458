// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A life as text: the daemon's options, and the rounds that were played against it.

use std::fmt;

use super::script::{NoStep, Script, Step, number};
use super::setting::Setting;

/// What can be played again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// How the daemon is started.
    pub setting: Setting,
    /// The rounds, in their order.
    pub rounds: Vec<Script>,
    /// The last of the rounds is interrupted by SIGTERM.
    pub ends: bool,
}

/// A text that is no record.
#[derive(Debug)]
pub enum NoRecord {
    /// It does not say how the daemon is started.
    Setting,
    /// A line between the rounds is neither the beginning nor the end of one.
    Round(String),
    /// A line of a round is no step.
    Step(NoStep),
}

impl fmt::Display for NoRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting => write!(f, "no line with options"),
            Self::Round(line) => write!(f, "no beginning of a round: {line:?}"),
            Self::Step(line) => write!(f, "{line}"),
        }
    }
}

impl std::error::Error for NoRecord {}

impl Record {
    /// From its text.
    ///
    /// # Errors
    /// It has another form.
    pub fn parse(text: &str) -> Result<Self, NoRecord> {
        let setting = Setting::parse(text.lines()).ok_or(NoRecord::Setting)?;
        let (mut rounds, mut ends) = (Vec::<Script>::new(), false);
        for line in text.lines().map(str::trim) {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("" | "#" | "options" | "image", _) => (),
                ("round", seed) => {
                    let seed = number(seed).ok_or_else(|| NoRecord::Round(line.to_owned()))?;
                    rounds.push(Script { seed, steps: Vec::new() });
                }
                ("sigterm", "") => ends = true,
                _ => {
                    let step: Step = line.parse().map_err(NoRecord::Step)?;
                    let round =
                        rounds.last_mut().ok_or_else(|| NoRecord::Round(line.to_owned()))?;
                    round.steps.push(step);
                }
            }
        }
        Ok(Self { setting, rounds, ends })
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.setting)?;
        for round in &self.rounds {
            writeln!(f, "round {:#x}", round.seed)?;
            round.steps.iter().try_for_each(|step| writeln!(f, "  {step}"))?;
        }
        if self.ends { writeln!(f, "sigterm") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::author::Author;
    use super::*;

    #[test]
    fn record_written_down_and_read_again_is_the_same() {
        let mut author = Author::of(5);
        let rounds = (0..10).map(|_| author.script()).collect();
        let setting = Setting { options: vec!["--read-only".to_owned()], image: 4096 };
        let record = Record { setting, rounds, ends: true };
        assert_eq!(Record::parse(&format!("# a note\n{record}")).unwrap(), record);
    }

    #[test]
    fn step_outside_of_a_round_is_refused() {
        let error = Record::parse("options -r\nkick 0 0 0\n").unwrap_err();
        assert_eq!(error.to_string(), "no beginning of a round: \"kick 0 0 0\"");
    }
}

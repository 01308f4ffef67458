// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Runs a target, and says how many inputs it took in a second.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::Fuzz;
use super::build::Programs;
use crate::command::{self, Ending, Watched};

/// How long a target may take beyond what it was told, and for its corpus.
const GRACE: Duration = Duration::from_secs(60);

/// The longest input that is tried, in bytes: longer ones say little more.
const LONGEST: &str = "-max_len=256";

/// An input that takes as many seconds has hung.
const HANGS: &str = "-timeout=10";

/// How much of a failed run's output is shown, from its end.
const LINES: usize = 60;

impl Fuzz {
    /// Plays the inputs in the corpus.
    pub(super) fn replay(&self, programs: &Programs, target: &str) -> Result<()> {
        let corpus = self.corpus(target);
        let entries = fs::read_dir(&corpus);
        let count = entries.with_context(|| format!("read {}", corpus.display()))?.count();
        ensure!(count > 0, "the corpus of {target} is empty");
        let mut program = self.program(programs, target, "broke")?;
        program.arg("-runs=0").arg(&corpus);
        let watched = fine(command::watch(program, GRACE)?)?;
        println!("{target}: {count} inputs replayed in {:.1} s", watched.took.as_secs_f64());
        Ok(())
    }

    /// Looks for inputs that break the target, from those in the corpus on; what reaches more is
    /// kept in the target directory, and counts the next time. What it did, in a line.
    pub(super) fn explore(
        &self,
        programs: &Programs,
        target: &str,
        time: Duration,
        seed: Option<u64>,
    ) -> Result<String> {
        let found = self.folder(&format!("found-{target}"), true)?;
        let mut program = self.program(programs, target, "broke")?;
        program.arg(format!("-max_total_time={}", time.as_secs()));
        program.args(seed.map(|seed| format!("-seed={seed}")));
        program.arg(&found).arg(self.corpus(target));
        let watched = fine(command::watch(program, time + GRACE)?)?;
        let executed = statistic(&watched.output, "number_of_executed_units")?;
        let per_second = statistic(&watched.output, "average_exec_per_sec")?;
        let line = format!("{target}: {executed} inputs played, {per_second} a second");
        println!("{line}");
        Ok(line)
    }

    /// Looks for the bug that is planted in these programs, from nothing on.
    pub(super) fn find_planted(
        &self,
        programs: &Programs,
        (target, bug): (&str, &str),
        patience: Duration,
    ) -> Result<()> {
        let found = self.folder(&format!("found-planted-{target}"), false)?;
        let mut program = self.program(programs, target, "broke-planted")?;
        program.arg(format!("-max_total_time={}", patience.as_secs())).arg(&found);
        program.env("VHOST_USER_PLANTED_BUG", bug);
        let watched = command::watch(program, patience + GRACE)?;
        let failed = matches!(watched.ending, Ending::Exit(status) if !status.success());
        let crash = watched.output.lines().find(|line| line.contains("panicked at"));
        let Some(crash) = crash.filter(|_| failed) else {
            bail!("it was not found in {} s", patience.as_secs());
        };
        println!("{target}: found after {:.1} s: {crash}", watched.took.as_secs_f64());
        Ok(())
    }

    /// A target, with what goes for all of its runs. An input that breaks it is written to the folder
    /// `broke`.
    pub(super) fn program(
        &self,
        programs: &Programs,
        target: &str,
        broke: &str,
    ) -> Result<Command> {
        let broke = self.folder(&format!("{broke}-{target}"), true)?;
        let mut program = Command::new(programs.0.join(target));
        program.args([LONGEST, HANGS, "-print_final_stats=1"]);
        program.arg(format!("-artifact_prefix={}/", broke.display()));
        Ok(program)
    }
}

/// A run that found nothing.
fn fine(watched: Watched) -> Result<Watched> {
    match &watched.ending {
        Ending::Exit(status) if status.success() => Ok(watched),
        ending => {
            let lines: Vec<_> = watched.output.lines().collect();
            let last = &lines[lines.len().saturating_sub(LINES)..];
            bail!("{ending:?}\n{}", last.join("\n"))
        }
    }
}

/// A number that libFuzzer says at its end.
fn statistic<'a>(output: &'a str, name: &str) -> Result<&'a str> {
    let head = format!("stat::{name}:");
    let value = output.lines().find_map(|line| line.strip_prefix(&head));
    value.map(str::trim).with_context(|| format!("it did not say its {name}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn watched(code: i32, output: &str) -> Watched {
        let ending = Ending::Exit(ExitStatus::from_raw(code << 8));
        Watched { ending, output: output.to_owned(), took: Duration::ZERO }
    }

    #[test]
    fn statistic_is_what_stands_behind_its_name() {
        let output = "Done 7 runs\nstat::number_of_executed_units: 7\nstat::new_units_added: 3\n";
        assert_eq!(statistic(output, "new_units_added").unwrap(), "3");
        let error = statistic(output, "peak_rss_mb").unwrap_err();
        assert_eq!(error.to_string(), "it did not say its peak_rss_mb");
    }

    #[test]
    fn run_that_broke_is_shown_from_its_end() {
        let output: String = (0..100).map(|line| format!("line {line}\n")).collect();
        let error = fine(watched(77, &output)).unwrap_err().to_string();
        assert!(error.contains("line 40\n") && error.ends_with("line 99"), "{error}");
        assert!(!error.contains("line 39\n"), "{error}");
        assert!(fine(watched(0, &output)).is_ok());
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Runs tests, some at a time.

use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::{Environment, Outcome, Test, Verdict, seconds};
use crate::command::{self, Ending, Watched};

/// How a test says on standard error that it could not be run; the reason follows.
const SKIPPED: &str = "SKIPPED: ";

/// How a test says what it has measured or counted; it is told although the test passed.
const FIGURE: &str = "FIGURE: ";

/// Runs all `tests` and says of each how it went, as soon as it is known: first those that don't
/// mind others, as many at a time as there are processors, then those that run alone.
///
/// # Errors
/// A test can't be started.
pub(crate) fn run(tests: Vec<Test>, environment: &Environment) -> Result<Vec<Outcome>> {
    let (alone, together): (Vec<_>, Vec<_>) =
        tests.into_iter().partition(|test| test.terms().alone);
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let mut outcomes = run_together(together, processors, environment)?;
    outcomes.extend(run_together(alone, 1, environment)?);
    Ok(outcomes)
}

fn run_together(
    tests: Vec<Test>,
    at_a_time: usize,
    environment: &Environment,
) -> Result<Vec<Outcome>> {
    let queue = Mutex::new(tests.into_iter());
    let (done, outcomes) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..at_a_time {
            let (queue, done) = (&queue, done.clone());
            scope.spawn(move || work(queue, &done, environment));
        }
        drop(done);
        outcomes.into_iter().inspect(|outcome| outcome.as_ref().map_or((), tell)).collect()
    })
}

fn work(
    queue: &Mutex<impl Iterator<Item = Test>>,
    done: &Sender<Result<Outcome>>,
    environment: &Environment,
) {
    let next = || queue.lock().expect("no worker panics").next();
    while let Some(test) = next() {
        if done.send(run_one(&test, environment)).is_err() {
            return;
        }
    }
}

fn run_one(test: &Test, environment: &Environment) -> Result<Outcome> {
    let id = test.id();
    if test.ignored {
        let verdict = judge_ignored(std::env::var_os("CI").is_some());
        return Ok(Outcome { id, verdict, took: Duration::ZERO, output: String::new() });
    }
    let mut command = Command::new(&test.binary.executable);
    command.args([&test.path, "--exact", "--nocapture"]);
    command.current_dir(&test.binary.folder).env("CARGO_MANIFEST_DIR", &test.binary.folder);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let limit = test.terms().limit;
    let watched = command::watch(command, limit)?;
    let verdict = judge(&watched, limit);
    Ok(Outcome { id, verdict, took: watched.took, output: watched.output })
}

/// Where all tests must run, nobody may have turned one off.
fn judge_ignored(all_must_run: bool) -> Verdict {
    let why = "it has the attribute #[ignore]".to_owned();
    if all_must_run { Verdict::Failed(why) } else { Verdict::Skipped(why) }
}

fn judge(watched: &Watched, limit: Duration) -> Verdict {
    let skipped = watched.output.lines().find_map(|line| {
        // The harness has written `test path ... ` to the same line by then.
        line.find(SKIPPED).map(|at| line[at + SKIPPED.len()..].to_owned())
    });
    match &watched.ending {
        Ending::TooLong => Verdict::Failed(format!("killed after {} s", limit.as_secs())),
        Ending::Exit(status) | Ending::LeftChildren(status) if !status.success() => {
            Verdict::Failed(status.to_string())
        }
        Ending::LeftChildren(_) => Verdict::Failed("it left processes behind".to_owned()),
        Ending::Exit(_) if !watched.output.contains("test result: ok. 1 passed; 0 failed") => {
            Verdict::Failed("the binary did not run it".to_owned())
        }
        Ending::Exit(_) => skipped.map_or(Verdict::Passed, Verdict::Skipped),
    }
}

/// One line for a test, its figures, and all that it wrote if it failed.
fn tell(outcome: &Outcome) {
    let (word, why) = match &outcome.verdict {
        Verdict::Passed => ("passed", figures(&outcome.output)),
        Verdict::Skipped(why) => ("SKIPPED", format!(": {why}")),
        Verdict::Failed(why) => ("FAILED", format!(": {why}\n{}", outcome.output.trim_end())),
    };
    println!("{} {word:7} {}{why}", seconds(outcome.took), outcome.id);
}

/// The figures in a test's output, a line for each.
fn figures(output: &str) -> String {
    let figure = |line: &str| Some(format!("\n        {}", line.split_once(FIGURE)?.1));
    output.lines().filter_map(figure).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;
    use crate::suite::Binary;

    const OK: &str = "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out";

    fn watched(ending: Ending, output: &str) -> Watched {
        Watched { ending, output: output.to_owned(), took: Duration::ZERO }
    }

    fn exit(code: i32) -> Ending {
        Ending::Exit(ExitStatus::from_raw(code << 8))
    }

    fn verdict(ending: Ending, output: &str) -> Verdict {
        judge(&watched(ending, output), Duration::from_secs(60))
    }

    fn failed(why: &str) -> Verdict {
        Verdict::Failed(why.to_owned())
    }

    /// A test of this very binary.
    fn test(path: &str) -> Test {
        let binary = Binary {
            name: "xtask::bin/xtask".to_owned(),
            executable: std::env::current_exe().unwrap(),
            folder: ".".into(),
        };
        Test { binary, path: path.to_owned(), ignored: false }
    }

    #[test]
    fn test_that_passed_is_passed() {
        assert_eq!(verdict(exit(0), OK), Verdict::Passed);
    }

    #[test]
    fn test_that_fails_is_failed_even_if_it_said_skipped() {
        assert_eq!(verdict(exit(101), "SKIPPED: no such"), failed("exit status: 101"));
    }

    #[test]
    fn test_that_says_skipped_has_not_passed() {
        let output = format!("test a ... SKIPPED: this test needs x\nok\n{OK}");
        let skipped = Verdict::Skipped("this test needs x".to_owned());
        assert_eq!(verdict(exit(0), &output), skipped);
    }

    #[test]
    fn test_that_its_binary_does_not_know_is_failed() {
        let output = OK.replace("1 passed", "0 passed");
        assert_eq!(verdict(exit(0), &output), failed("the binary did not run it"));
    }

    #[test]
    fn figures_of_a_test_are_told_without_the_rest() {
        let output = format!("test a ... FIGURE: 7 of 9\nnoise\nFIGURE: 3 ns\n{OK}");
        assert_eq!(figures(&output), "\n        7 of 9\n        3 ns");
        assert_eq!(figures(OK), "");
    }

    #[test]
    fn test_beyond_its_limit_is_failed() {
        assert_eq!(verdict(Ending::TooLong, ""), failed("killed after 60 s"));
    }

    #[test]
    fn test_that_leaves_processes_is_failed() {
        let ending = Ending::LeftChildren(ExitStatus::from_raw(0));
        assert_eq!(verdict(ending, OK), failed("it left processes behind"));
    }

    #[test]
    fn ignored_test_is_skipped_but_failed_where_all_must_run() {
        assert!(matches!(judge_ignored(false), Verdict::Skipped(_)));
        assert_eq!(judge_ignored(true), failed("it has the attribute #[ignore]"));
    }

    #[test]
    fn run_of_real_tests_tells_passed_from_unknown() {
        let passes = test("suite::run::tests::test_that_passed_is_passed");
        let outcomes = run(vec![passes, test("no::such")], &Vec::new()).unwrap();
        let mut verdicts: Vec<_> = outcomes.into_iter().map(|outcome| outcome.verdict).collect();
        verdicts.sort_by_key(|verdict| *verdict != Verdict::Passed);
        assert_eq!(verdicts, [Verdict::Passed, failed("the binary did not run it")]);
    }
}

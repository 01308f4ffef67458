// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! How a run went, said at its end: nothing stops at the first failure.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Outcome, Verdict};

/// How many of the slowest tests are named.
const SLOWEST: usize = 10;

/// The steps of a run and its tests.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    steps: Vec<Step>,
    outcomes: Vec<Outcome>,
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    took: Duration,
    /// Of a step that checks something itself; one that runs tests is judged by them.
    failure: Option<String>,
    counts: bool,
}

impl Summary {
    /// Runs a step that checks something: it counts as one test.
    pub(crate) fn check(&mut self, name: &'static str, check: impl FnOnce() -> Result<()>) {
        let (result, took) = timed(name, check);
        let failure = result.err().map(|error| format!("{error:#}"));
        if let Some(failure) = &failure {
            println!("FAILED {name}: {failure}");
        }
        self.steps.push(Step { name, took, failure, counts: true });
    }

    /// Runs a step that runs tests: these count. If they can't be run at all, the step does, as
    /// failed; says whether they ran.
    pub(crate) fn tests(
        &mut self,
        name: &'static str,
        tests: impl FnOnce() -> Result<Vec<Outcome>>,
    ) -> bool {
        let (result, took) = timed(name, tests);
        let failure = match result {
            Ok(outcomes) => {
                self.outcomes.extend(outcomes);
                None
            }
            Err(error) => Some(format!("{error:#}")),
        };
        let ran = failure.is_none();
        if let Some(failure) = &failure {
            println!("FAILED {name}: {failure}");
        }
        self.steps.push(Step { name, took, counts: !ran, failure });
        ran
    }

    /// The names of all tests so far.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.outcomes.iter().map(|outcome| outcome.id.clone()).collect()
    }

    /// The whole as text, and whether nothing failed.
    pub(crate) fn text(&self) -> (String, bool) {
        let mut lines = vec![String::new(), "Steps:".to_owned()];
        lines.extend(self.steps.iter().map(|step| format!("{} {}", seconds(step.took), step.name)));

        let mut slowest: Vec<_> = self.outcomes.iter().collect();
        slowest.sort_by_key(|outcome| std::cmp::Reverse(outcome.took));
        slowest.truncate(SLOWEST);
        if !slowest.is_empty() {
            lines.push(format!("The {} slowest tests:", slowest.len()));
        }
        lines.extend(slowest.iter().map(|one| format!("{} {}", seconds(one.took), one.id)));

        let failures: Vec<_> = self.failures().collect();
        if !failures.is_empty() {
            lines.push("Failures:".to_owned());
            lines.extend(failures.iter().cloned());
        }
        let skipped: Vec<_> = self.skipped().collect();
        if !skipped.is_empty() {
            lines.push(format!("Skipped, so not proven here: {}", skipped.len()));
            lines.extend(skipped);
        }
        let passed = self.outcomes.iter().filter(|outcome| outcome.verdict == Verdict::Passed);
        let checked = self.steps.iter().filter(|step| step.counts && step.failure.is_none());
        let passed = passed.count() + checked.count();
        lines.push(format!("{passed} passed, {} failed", failures.len()));
        (lines.join("\n"), failures.is_empty())
    }

    fn failures(&self) -> impl Iterator<Item = String> {
        let steps = self.steps.iter().filter_map(|step| {
            step.failure.as_ref().map(|failure| format!("  {}: {failure}", step.name))
        });
        let tests = self.outcomes.iter().filter_map(|outcome| match &outcome.verdict {
            Verdict::Failed(why) => Some(format!("  {}: {why}", outcome.id)),
            _ => None,
        });
        steps.chain(tests)
    }

    fn skipped(&self) -> impl Iterator<Item = String> {
        self.outcomes.iter().filter_map(|outcome| match &outcome.verdict {
            Verdict::Skipped(why) => Some(format!("  {}: {why}", outcome.id)),
            _ => None,
        })
    }
}

/// A duration, as wide as its neighbours.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:8.2} s", duration.as_secs_f64())
}

fn timed<T>(name: &str, step: impl FnOnce() -> Result<T>) -> (Result<T>, Duration) {
    println!("\n=== {name}");
    let started = Instant::now();
    let result = step();
    (result, started.elapsed())
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn outcome(id: &str, verdict: Verdict, milliseconds: u64) -> Outcome {
        let took = Duration::from_millis(milliseconds);
        Outcome { id: id.to_owned(), verdict, took, output: String::new() }
    }

    #[test]
    fn last_line_counts_tests_and_checks() {
        let mut summary = Summary::default();
        summary.check("format", || Ok(()));
        summary.tests("tests", || {
            let skipped = Verdict::Skipped("why".to_owned());
            Ok(vec![outcome("a", Verdict::Passed, 1), outcome("b", skipped, 1)])
        });
        let (text, fine) = summary.text();
        assert!(fine);
        assert!(text.ends_with("Skipped, so not proven here: 1\n  b: why\n2 passed, 0 failed"));
    }

    #[test]
    fn failures_of_checks_and_tests_are_all_told() {
        let mut summary = Summary::default();
        summary.check("format", || bail!("crooked"));
        summary.tests("tests", || {
            Ok(vec![outcome("a", Verdict::Failed("exit status: 101".to_owned()), 1)])
        });
        summary.tests("asan", || bail!("does not build"));
        let (text, fine) = summary.text();
        assert!(!fine);
        let end = "Failures:\n  format: crooked\n  asan: does not build\n  a: exit status: 101\n\
                   0 passed, 3 failed";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn slowest_tests_come_slowest_first_and_are_ten() {
        let mut summary = Summary::default();
        let outcomes = (0..12).map(|at| outcome(&format!("t{at}"), Verdict::Passed, 1000 * at));
        let outcomes = outcomes.collect();
        summary.tests("tests", || Ok(outcomes));
        let (text, _) = summary.text();
        let first = "The 10 slowest tests:\n   11.00 s t11\n   10.00 s t10\n";
        assert!(text.contains(first), "{text}");
        assert!(!text.contains(" t1\n") && text.contains(" t2\n"), "{text}");
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Tests, each run in a process of its own, with a limit to its time and its output kept apart.
//!
//! `build.rs` makes the test binaries and lists their tests, `run.rs` runs these, `docs.rs` does
//! both for the examples in the documentation, `expected.rs` compares what ran with the list in
//! the repository, `summary.rs` tells how it went.

mod build;
mod docs;
mod expected;
mod run;
mod summary;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use build::{build, list};
pub(crate) use docs::run_examples;
pub(crate) use expected::compare;
pub(crate) use run::run;
pub(crate) use summary::{Summary, seconds};

/// A built test binary.
#[derive(Clone, Debug)]
pub(crate) struct Binary {
    /// What its tests' names begin with: `package::lib`, `package::file`, `loom:package::lib`.
    pub(crate) name: String,
    pub(crate) executable: PathBuf,
    /// Its package's, in which its tests run.
    pub(crate) folder: PathBuf,
}

/// One test of a binary.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) binary: Binary,
    pub(crate) path: String,
    /// It has the attribute `#[ignore]`.
    pub(crate) ignored: bool,
}

impl Test {
    /// Its name in the list of expected tests and everywhere else.
    pub(crate) fn id(&self) -> String {
        format!("{} {}", self.binary.name, self.path)
    }

    /// How it must be run.
    fn terms(&self) -> &'static Terms {
        let id = self.id();
        TERMS.iter().find(|terms| id.contains(terms.tests)).unwrap_or(&USUAL)
    }

    /// Whether it says nothing about the coverage and takes long.
    pub(crate) fn skips_coverage(&self) -> bool {
        !self.terms().coverage
    }
}

/// On what terms tests are run.
#[derive(Debug)]
struct Terms {
    /// What is in the names of these tests.
    tests: &'static str,
    /// How long one of them may take.
    limit: Duration,
    /// While it runs, no other test does.
    alone: bool,
    /// It is run for the coverage too.
    coverage: bool,
}

const USUAL: Terms =
    Terms { tests: "", limit: Duration::from_secs(60), alone: false, coverage: true };

/// The terms of all tests that don't have the [`USUAL`] ones; the first that fits holds.
const TERMS: [Terms; 5] = [
    // A guest has two processors, which it gets by emulation, and boots in seconds if it gets them.
    Terms {
        tests: "vhost-user-tests::guest_",
        limit: Duration::from_secs(300),
        alone: true,
        coverage: false,
    },
    // Driver and device on a processor each, some of them for minutes under AddressSanitizer.
    Terms {
        tests: "million_requests",
        limit: Duration::from_secs(300),
        alone: true,
        coverage: false,
    },
    // What others wrote to try file systems: each has much to do.
    Terms {
        tests: "vhost-user-tests::fs_suites",
        limit: Duration::from_secs(300),
        alone: false,
        coverage: true,
    },
    // A binary that counts has one descriptor too few to say so.
    Terms { tests: "too_few_descriptors", limit: USUAL.limit, alone: false, coverage: false },
    // Every interleaving is tried, on one processor.
    Terms { tests: "loom:", limit: Duration::from_secs(300), alone: false, coverage: false },
];

/// How a test went.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) id: String,
    pub(crate) verdict: Verdict,
    pub(crate) took: Duration,
    /// What it wrote.
    pub(crate) output: String,
}

/// See [`Outcome`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    /// It could not be run, or is told not to be, for this reason.
    Skipped(String),
    Failed(String),
}

/// Variables of the environment that the tests get.
pub(crate) type Environment = Vec<(&'static str, OsString)>;

#[cfg(test)]
mod tests {
    use super::*;

    fn test(binary: &str, path: &str) -> Test {
        let binary =
            Binary { name: binary.to_owned(), executable: PathBuf::new(), folder: PathBuf::new() };
        Test { binary, path: path.to_owned(), ignored: false }
    }

    #[test]
    fn terms_of_a_guest_are_that_it_runs_alone() {
        assert!(test("vhost-user-tests::guest_uml", "it_boots").terms().alone);
        assert!(test("vhost-user-tests::guest_uml", "it_boots").skips_coverage());
    }

    #[test]
    fn terms_of_any_other_test_are_the_usual_ones() {
        assert!(!test("vhost-user-device::lib", "ring::tests::pops").terms().alone);
        assert!(!test("vhost-user-device::lib", "ring::tests::pops").skips_coverage());
    }
}

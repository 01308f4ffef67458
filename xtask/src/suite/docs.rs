// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The examples in the documentation of the libraries, which rustdoc builds and runs.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Outcome, Verdict};
use crate::cargo::Workspace;
use crate::command::{self, Ending};

/// How long all of them may take, building included.
const LIMIT: Duration = Duration::from_secs(300);

/// Builds and runs the examples of all libraries of the workspace.
///
/// # Errors
/// cargo can't be started, or fails before they run.
pub(crate) fn run_examples(workspace: &Workspace) -> Result<Vec<Outcome>> {
    let mut cargo = workspace.cargo("test");
    cargo.args(["--workspace", "--doc", "--no-fail-fast", "--", "--format=pretty"]);
    examples(cargo)
}

fn examples(cargo: Command) -> Result<Vec<Outcome>> {
    let watched = command::watch(cargo, LIMIT)?;
    println!("{}", watched.output.trim_end());
    let outcomes = outcomes(&watched.output);
    let fine = matches!(watched.ending, Ending::Exit(status) if status.success());
    let failed = |outcome: &Outcome| matches!(outcome.verdict, Verdict::Failed(_));
    ensure!(fine || outcomes.iter().any(failed), "run the examples: {:?}", watched.ending);
    Ok(outcomes)
}

/// What cargo says of each example.
fn outcomes(output: &str) -> Vec<Outcome> {
    let mut library = "";
    let mut outcomes = Vec::new();
    for line in output.lines() {
        if let Some(name) = line.trim_start().strip_prefix("Doc-tests ") {
            library = name;
        } else if let Some((name, verdict)) = verdict(line) {
            let (id, output) = (format!("doc:{library} {name}"), String::new());
            outcomes.push(Outcome { id, verdict, took: Duration::ZERO, output });
        }
    }
    number_namesakes(&mut outcomes);
    outcomes
}

/// Reads `test src/lib.rs - item (line 8) - compile ... ok`; the line number is left out.
fn verdict(line: &str) -> Option<(String, Verdict)> {
    let (name, verdict) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let verdict = match verdict {
        "ok" => Verdict::Passed,
        "ignored" => Verdict::Skipped("it is marked `ignore`".to_owned()),
        "FAILED" => Verdict::Failed("see above".to_owned()),
        _ => return None,
    };
    let name = match (name.find(" (line "), name.rfind(')')) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &name[..from], &name[to + 1..]),
        _ => name.to_owned(),
    };
    Some((name.replace(" - -", " -").trim_end_matches(" -").to_owned(), verdict))
}

/// An item may have more than one example: the second is called `... #2`.
fn number_namesakes(outcomes: &mut [Outcome]) {
    for at in (0..outcomes.len()).rev() {
        let before = outcomes[..at].iter().filter(|other| other.id == outcomes[at].id).count();
        if before > 0 {
            outcomes[at].id += &format!(" #{}", before + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_of_an_example_is_read_without_its_number() {
        let (name, verdict) =
            verdict("test src/a.rs - Ring::pop (line 8) - compile ... ok").unwrap();
        assert_eq!(name, "src/a.rs - Ring::pop - compile");
        assert_eq!(verdict, Verdict::Passed);
    }

    #[test]
    fn line_of_an_example_of_the_whole_library_names_the_file() {
        let name = |line| verdict(line).unwrap().0;
        assert_eq!(name("test src/lib.rs - (line 8) ... ok"), "src/lib.rs");
        assert_eq!(name("test src/lib.rs - (line 8) - compile ... ok"), "src/lib.rs - compile");
    }

    #[test]
    fn line_of_a_failed_example_is_a_failure() {
        let (_, verdict) = verdict("test src/a.rs - pop (line 8) ... FAILED").unwrap();
        assert_eq!(verdict, Verdict::Failed("see above".to_owned()));
    }

    #[test]
    fn line_of_the_summary_is_no_example() {
        assert!(verdict("test result: ok. 3 passed; 0 failed").is_none());
    }

    #[test]
    fn examples_are_those_of_the_library_before_them_and_numbered() {
        let line = "test a.rs - x (line 1) ... ok";
        let output = format!("   Doc-tests one\n{line}\n{line}\n   Doc-tests two\n{line}\n");
        let ids: Vec<_> = outcomes(&output).into_iter().map(|outcome| outcome.id).collect();
        assert_eq!(ids, ["doc:one a.rs - x", "doc:one a.rs - x #2", "doc:two a.rs - x"]);
    }

    #[test]
    fn examples_that_do_not_build_are_an_error() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo error; exit 101"]);
        let error = examples(command).unwrap_err().to_string();
        assert!(error.starts_with("run the examples: Exit("), "{error}");
    }
}

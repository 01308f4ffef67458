// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The list of expected tests, so that no test goes missing in silence.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Where the list is, from the root of the workspace.
const LIST: &str = "tests/expected-tests.txt";

const HEAD: &str = "\
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# Every test by name; `cargo xtask test` compares it with what ran, `cargo xtask test --bless`
# writes it anew. A test that is taken off this list needs its reason in the commit.
";

/// Compares the names of the tests that ran with the list, as far as it is about the suites with these labels
/// (empty, `asan:`, ...); with `bless`, writes the list anew instead.
///
/// # Errors
/// A test is missing or unexpected, or the list can't be read or written.
pub(crate) fn compare(
    root: &Path,
    ran: &BTreeSet<String>,
    labels: &[&str],
    bless: bool,
) -> Result<()> {
    let path = root.join(LIST);
    let listed = match fs::read_to_string(&path) {
        Err(error) if bless && error.kind() == std::io::ErrorKind::NotFound => String::new(),
        text => text.with_context(|| format!("read {LIST}"))?,
    };
    if bless {
        let text = blessed(&listed, ran, labels);
        return fs::write(&path, text).with_context(|| format!("write {LIST}"));
    }
    let differences = differences(&listed, ran, labels);
    if differences.is_empty() {
        return Ok(());
    }
    bail!(
        "what ran is not what {LIST} says; if that is meant, `cargo xtask test --bless` writes \
         the list anew\n{}",
        differences.join("\n")
    )
}

fn differences(listed: &str, ran: &BTreeSet<String>, labels: &[&str]) -> Vec<String> {
    let (listed, _) = split(listed, labels);
    let missing = listed.difference(ran).map(|id| format!("did not run: {id}"));
    let surplus = ran.difference(&listed).map(|id| format!("is not on the list: {id}"));
    missing.chain(surplus).collect()
}

/// The list with the names of what ran; of suites that did not run it keeps what it has.
fn blessed(listed: &str, ran: &BTreeSet<String>, labels: &[&str]) -> String {
    let (_, others) = split(listed, labels);
    let lines = ran.union(&others).map(|id| format!("{id}\n"));
    HEAD.to_owned() + &lines.collect::<String>()
}

/// The names on the list that have one of the labels, and the others.
fn split(listed: &str, labels: &[&str]) -> (BTreeSet<String>, BTreeSet<String>) {
    let lines = listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).partition(|id| labels.contains(&label(id)))
}

/// `loom:` of `loom:package::lib path`, nothing of `package::lib path`.
fn label(id: &str) -> &str {
    let binary = id.split(' ').next().unwrap_or_default();
    match binary.find(':') {
        Some(at) if !binary[at..].starts_with("::") => &binary[..=at],
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "# head\none::lib a\none::lib b\nasan:one::lib a\n";

    fn ran(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn list_that_says_what_ran_has_no_differences() {
        let ran = ran(&["one::lib a", "one::lib b", "asan:one::lib a"]);
        assert!(differences(LISTED, &ran, &["", "asan:"]).is_empty());
    }

    #[test]
    fn test_that_went_missing_is_told() {
        let differences = differences(LISTED, &ran(&["one::lib a"]), &[""]);
        assert_eq!(differences, ["did not run: one::lib b"]);
    }

    #[test]
    fn test_that_nobody_listed_is_told() {
        let differences = differences(LISTED, &ran(&["asan:one::lib a", "asan:x y"]), &["asan:"]);
        assert_eq!(differences, ["is not on the list: asan:x y"]);
    }

    #[test]
    fn blessed_list_keeps_the_suites_that_did_not_run() {
        let text = blessed(LISTED, &ran(&["one::lib c"]), &[""]);
        assert_eq!(text, format!("{HEAD}asan:one::lib a\none::lib c\n"));
    }

    #[test]
    fn label_is_what_stands_before_a_single_colon() {
        assert_eq!(label("loom:one::lib a::b"), "loom:");
        assert_eq!(label("one::lib a::b"), "");
        assert_eq!(label("doc:one src/a.rs - x"), "doc:");
    }
}

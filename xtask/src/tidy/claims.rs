// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the threat model claims, a test shows: below each claim stand the names of its tests.

use std::collections::BTreeSet;

use super::Finding;

/// The document whose list items are claims.
pub(super) const MODEL: &str = "docs/threat-model.md";

/// The list in which tests must be.
pub(super) const TESTS: &str = "tests/expected-tests.txt";

/// Looks at a text of claims: an item of a list is one, and the items below it are names of tests
/// that are in the list `tests`.
pub(super) fn check(path: &str, text: &str, tests: &str) -> Vec<Finding> {
    let tests: BTreeSet<&str> = tests.lines().collect();
    let mut findings = Vec::new();
    // Where the last claim began, and how many tests it has.
    let mut claim: Option<(usize, usize)> = None;
    for (at, line) in (1..).zip(text.lines()).chain([(0, "- ")]) {
        if line.starts_with("- ") {
            if let Some((at, 0)) = claim {
                findings.push(Finding::new(path, at, "a claim without a test"));
            }
            claim = Some((at, 0));
        } else if let Some(item) = line.strip_prefix("  - ") {
            let name = item.strip_prefix('`').and_then(|item| item.strip_suffix('`'));
            let (Some(name), Some((_, count))) = (name, &mut claim) else {
                findings.push(Finding::new(path, at, "no name of a test below a claim"));
                continue;
            };
            *count += 1;
            if !tests.contains(name) {
                findings.push(Finding::new(path, at, format!("{TESTS} has no test {item}")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const TESTS: &str = "# head\none::lib a::b\none::two c\n";

    fn of(text: &str) -> Vec<String> {
        check("d", text, TESTS).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn claim_with_tests_that_there_are_is_let_pass() {
        assert!(
            of("# x\n\n- it does\n  not end\n  - `one::lib a::b`\n  - `one::two c`\n").is_empty()
        );
        assert!(of("").is_empty());
    }

    #[test]
    fn claim_without_a_test_is_refused() {
        let text = "- one\n- two\n  - `one::two c`\n- three\n";
        assert_eq!(of(text), ["d:1: a claim without a test", "d:4: a claim without a test"]);
    }

    #[test]
    fn test_that_there_is_not_is_refused() {
        let refusal = "d:2: tests/expected-tests.txt has no test `one::two d`";
        assert_eq!(of("- one\n  - `one::two d`\n  - `one::two c`\n"), [refusal]);
    }

    #[test]
    fn name_that_is_none_is_refused() {
        let refusal = "d:2: no name of a test below a claim";
        assert_eq!(of("- one\n  - one::two c\n  - `one::two c`\n"), [refusal]);
    }
}

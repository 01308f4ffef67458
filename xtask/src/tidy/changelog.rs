// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The changelog has the shape that people know from keepachangelog.com.

use super::Finding;

/// The kinds of change, each with the entries below it.
const KINDS: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut refuse = |line: usize, text: &str| findings.push(Finding::new(path, line, text));
    let headings: Vec<(usize, &str)> =
        (1..).zip(text.lines()).filter(|(_, line)| line.starts_with('#')).collect();
    if headings.first().map(|(_, line)| *line) != Some("# Changelog") {
        refuse(1, "its first heading is not `# Changelog`");
    }
    let releases: Vec<_> = headings.iter().filter(|(_, line)| line.starts_with("## ")).collect();
    if releases.first().map(|(_, line)| *line) != Some("## [Unreleased]") {
        refuse(1, "its first release is not `## [Unreleased]`");
    }
    for (at, line) in releases.iter().skip(1) {
        if !is_release(line) {
            refuse(*at, "a release is `## [1.2.3] - 2001-02-03`");
        }
    }
    for (at, line) in &headings {
        if let Some(kind) = line.strip_prefix("### ") {
            if !KINDS.contains(&kind) {
                refuse(
                    *at,
                    "no kind of change: Added, Changed, Deprecated, Removed, Fixed, Security",
                );
            }
            let next = text.lines().skip(*at).find(|line| !line.is_empty());
            if !next.is_some_and(|line| line.starts_with("- ")) {
                refuse(*at, "no entry below it");
            }
        }
    }
    findings
}

fn is_release(line: &str) -> bool {
    let parts = line.strip_prefix("## [").and_then(|rest| rest.split_once("] - "));
    let numbers = |text: &str, separator, count| {
        let mut parts = text.split(separator);
        let digits =
            |part: &str| !part.is_empty() && part.chars().all(|char| char.is_ascii_digit());
        text.split(separator).count() == count && parts.all(digits)
    };
    parts.is_some_and(|(version, date)| {
        numbers(version, '.', 3) && numbers(date, '-', 3) && date.len() == "2001-02-03".len()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- a\n\n\
                        ## [0.1.0] - 2026-11-30\n\n### Fixed\n\n- b\n";

    fn of(text: &str) -> Vec<String> {
        check("C", text).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn changelog_of_the_known_shape_is_let_pass() {
        assert!(of(GOOD).is_empty());
    }

    #[test]
    fn changelog_without_unreleased_is_refused() {
        let text = GOOD.replace("## [Unreleased]", "## [1.0.0] - 2026-12-01");
        assert_eq!(of(&text), ["C:1: its first release is not `## [Unreleased]`"]);
    }

    #[test]
    fn release_without_a_date_is_refused() {
        let text = GOOD.replace(" - 2026-11-30", "");
        assert_eq!(of(&text), ["C:9: a release is `## [1.2.3] - 2001-02-03`"]);
    }

    #[test]
    fn kind_that_is_none_is_refused() {
        let findings = of(&GOOD.replace("### Fixed", "### Improved"));
        assert!(findings[0].starts_with("C:11: no kind of change"), "{findings:?}");
    }

    #[test]
    fn kind_without_entries_is_refused() {
        assert_eq!(of(&GOOD.replace("- a\n", "")), ["C:5: no entry below it"]);
    }

    #[test]
    fn missing_changelog_is_refused() {
        assert_eq!(of("").len(), 2);
    }
}

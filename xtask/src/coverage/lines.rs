// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! From regions that were executed so and so often to lines of code that were, or were not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::tidy::code;

/// A place in a source file; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// How often what is between two places was executed.
pub(super) type Regions = BTreeMap<(Place, Place), u64>;

/// The lines of code of a file, or of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) executed: usize,
    pub(super) all: usize,
    /// Which ones were not executed; only of a single file.
    pub(super) missed: BTreeSet<usize>,
}

impl Lines {
    /// The lines of the file `text`: those that the regions are about and that say something.
    /// A line was executed if one of the regions that begin in it was, or the one it begins in.
    pub(super) fn of(text: &str, regions: &Regions) -> Self {
        let mut lines = Self::default();
        for (at, line) in text.lines().enumerate().take(code::lines_before_tests(text)) {
            let number = at + 1;
            if !says_something(line) {
                continue;
            }
            let Some(count) = count(number, regions) else {
                continue;
            };
            lines.all += 1;
            if count > 0 {
                lines.executed += 1;
            } else {
                lines.missed.insert(number);
            }
        }
        lines
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.executed += other.executed;
        self.all += other.all;
    }

    #[expect(clippy::cast_precision_loss, reason = "sources have fewer than 2^52 lines")]
    pub(super) fn percent(&self) -> f64 {
        if self.all == 0 { 100.0 } else { 100.0 * self.executed as f64 / self.all as f64 }
    }

    /// The lines that were not executed, as `3, 7-9`.
    pub(super) fn ranges_missed(&self) -> String {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for &line in &self.missed {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == line => *last = line,
                _ => ranges.push((line, line)),
            }
        }
        let ranges = ranges.into_iter().map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        });
        ranges.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missed = self.all - self.executed;
        write!(f, "{:8.2} {:8} {missed:8}", self.percent(), self.all)
    }
}

fn says_something(line: &str) -> bool {
    let line = line.trim();
    !line.starts_with("//") && !line.chars().all(|char| "{}()[],;".contains(char))
}

/// How often a line was executed; `None` if no region is about it.
fn count(line: usize, regions: &Regions) -> Option<u64> {
    let begin = Place { line, column: 1 };
    let next = Place { line: line + 1, column: 1 };
    let beginning = regions.iter().filter(|((start, _), _)| (begin..next).contains(start));
    let beginning = beginning.map(|(_, count)| *count).max();
    // The innermost of the regions that the line begins in is the one that began last.
    let around = regions.iter().filter(|((start, end), _)| *start < begin && *end > begin);
    let around = around.max_by_key(|((start, end), _)| (*start, std::cmp::Reverse(*end)));
    beginning.max(around.map(|(_, count)| *count))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
fn f(x: bool) {
    if x {
        // why
        g();
    }

    h();
}

#[cfg(test)]
mod tests {
    fn t() {}
}
";

    fn regions(of_branch: u64) -> Regions {
        let place = |line, column| Place { line, column };
        Regions::from([
            ((place(1, 1), place(2, 9)), 1),
            ((place(2, 10), place(5, 6)), of_branch),
            ((place(7, 5), place(8, 2)), 1),
            ((place(12, 5), place(12, 14)), 0),
        ])
    }

    #[test]
    fn lines_that_say_something_are_counted_and_tests_are_not() {
        let lines = Lines::of(TEXT, &regions(1));
        assert_eq!(lines, Lines { executed: 4, all: 4, missed: BTreeSet::new() });
    }

    #[test]
    fn branch_that_was_not_taken_is_missed() {
        let lines = Lines::of(TEXT, &regions(0));
        assert_eq!(lines, Lines { executed: 3, all: 4, missed: BTreeSet::from([4]) });
    }

    #[test]
    fn ranges_of_missed_lines_are_joined() {
        let lines = Lines { missed: BTreeSet::from([3, 7, 8, 9]), ..Lines::default() };
        assert_eq!(lines.ranges_missed(), "3, 7-9");
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The coverage that the repository says it has.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Where it is, from the root of the workspace.
const FILE: &str = "xtask/coverage.toml";

/// How far it may fall without anybody saying why, in percentage points.
const SLACK: f64 = 0.5;

const HEAD: &str = "\
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# The share of the product's lines of code that the tests execute, in percent; `cargo xtask
# coverage` fails if it falls by more than 0.5 points. `cargo xtask coverage --bless` writes it anew;
# a lower figure needs its reason in the commit.
";

/// Compares a coverage with the file's; with `bless`, writes it there.
///
/// # Errors
/// It has fallen too far, or the file can't be read or written.
pub(super) fn compare(root: &Path, percent: f64, bless: bool) -> Result<()> {
    let path = root.join(FILE);
    if bless {
        let text = format!("{HEAD}lines = {percent:.2}\n");
        return fs::write(&path, text).with_context(|| format!("write {FILE}"));
    }
    let text = fs::read_to_string(&path).with_context(|| format!("read {FILE}"))?;
    let before = parse(&text).with_context(|| format!("{FILE} has no line `lines = PERCENT`"))?;
    println!("line coverage {percent:.2} %, was {before:.2} %");
    judge(before, percent)
}

fn parse(text: &str) -> Option<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix("lines = "))?;
    value.trim().parse().ok()
}

fn judge(before: f64, now: f64) -> Result<()> {
    ensure!(
        now >= before - SLACK,
        "line coverage fell from {before:.2} % to {now:.2} %; test what is new, or say in the \
         commit why not and run `cargo xtask coverage --bless`"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_as_it_is_written_is_read() {
        assert_eq!(parse(&format!("{HEAD}lines = 87.25\n")), Some(87.25));
    }

    #[test]
    fn file_without_a_figure_is_refused() {
        assert_eq!(parse("lines = many\n"), None);
    }

    #[test]
    fn fall_within_the_slack_is_let_pass() {
        assert!(judge(80.0, 79.51).is_ok());
    }

    #[test]
    fn fall_beyond_the_slack_is_refused() {
        let error = judge(80.0, 79.49).unwrap_err().to_string();
        assert!(error.starts_with("line coverage fell from 80.00 % to 79.49 %"), "{error}");
    }
}

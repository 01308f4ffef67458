// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The pages and the units name no option that the daemons don't have in their `--help`. That a page
//! has them all is seen to by what writes its tables.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::Finding;
use super::sources::Source;
use crate::cargo::{Package, Workspace};
use crate::command;

/// Options of other programs that the pages name.
const OF_OTHERS: [&str; 6] =
    ["--bindir", "--bless", "--destdir", "--docs", "--prefix", "--release"];

/// A page whose options are those of many programs: of peers, of tools, of tasks.
const PAGE_OF_OTHERS: &str = "docs/benchmarks.md";

/// Options that need no words: everything has them.
const KNOWN: [&str; 2] = ["--help", "--version"];

/// The options of each daemon.
pub(super) type Helps = BTreeMap<String, BTreeSet<String>>;

/// Asks the built daemons.
///
/// # Errors
/// One can't be run.
pub(super) fn helps(workspace: &Workspace, daemons: &Path) -> Result<Helps> {
    let mut helps = Helps::new();
    for Package { name, .. } in workspace.daemons() {
        let mut daemon = Command::new(daemons.join(name));
        let help = command::output(daemon.arg("--help"), Duration::from_secs(20))?;
        helps.insert(name.clone(), of_help(&help));
    }
    Ok(helps)
}

/// Compares README.md, the units and the pages in docs/ with the daemons' help.
pub(super) fn check(helps: &Helps, sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Source { path, text } in sources {
        let is_page = path.starts_with("docs/") && path.ends_with(".md") && path != PAGE_OF_OTHERS;
        if path == "README.md" || path.starts_with("systemd/") || is_page {
            findings.extend(unknown(path, text, helps));
        }
    }
    for daemon in helps.keys() {
        let path = format!("docs/{daemon}.md");
        if !sources.iter().any(|source| source.path == path) {
            findings.push(Finding::new(&path, 1, format!("{daemon} has no page")));
        }
    }
    findings
}

/// The options in a text that no daemon has, or, on a daemon's page, that it hasn't.
fn unknown(path: &str, text: &str, helps: &Helps) -> Vec<Finding> {
    let daemon = path.strip_prefix("docs/").and_then(|name| name.strip_suffix(".md"));
    let known: BTreeSet<&String> = match daemon.and_then(|daemon| helps.get(daemon)) {
        Some(options) => options.iter().collect(),
        None => helps.values().flatten().collect(),
    };
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for option in options_in(line) {
            let of_others = OF_OTHERS.contains(&option) || KNOWN.contains(&option);
            if !of_others && !known.iter().any(|known| *known == option) {
                findings.push(Finding::new(path, at + 1, format!("there is no option {option}")));
            }
        }
    }
    findings
}

/// The options that a help defines: those at the beginning of its lines.
fn of_help(help: &str) -> BTreeSet<String> {
    let lines = help.lines().map(str::trim).filter(|line| line.starts_with('-'));
    lines.filter_map(|line| options_in(line).next()).map(str::to_owned).collect()
}

/// The words of a line that are long options, without what follows them.
fn options_in(line: &str) -> impl Iterator<Item = &str> {
    let is_part = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-';
    line.match_indices("--").filter_map(move |(at, _)| {
        let begins = !line[..at].ends_with(|char: char| char.is_alphanumeric() || char == '-');
        let rest = &line[at + 2..];
        let named = rest.starts_with(|char: char| char.is_ascii_lowercase());
        let length = rest.find(|char| !is_part(char)).unwrap_or(rest.len());
        (begins && named).then(|| &line[at..at + 2 + length])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "\
Usage: d [OPTIONS]

Options:
  -s, --socket-path <PATH>  Listen on PATH, unlike --fd
      --read-only           Refuse writes
  -h, --help                Print help
";

    fn helps() -> Helps {
        Helps::from([("d".to_owned(), of_help(HELP)), ("e".to_owned(), of_help("  --tap <T>"))])
    }

    fn of(path: &str, text: &str) -> Vec<String> {
        unknown(path, text, &helps()).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn help_defines_what_its_lines_begin_with() {
        let options: Vec<_> = of_help(HELP).into_iter().collect();
        assert_eq!(options, ["--help", "--read-only", "--socket-path"]);
    }

    #[test]
    fn option_that_some_daemon_has_is_let_pass() {
        assert!(
            of("README.md", "run `d --socket-path=x` or `e --tap t`, but no | --- | --").is_empty()
        );
    }

    #[test]
    fn option_that_no_daemon_has_is_refused() {
        assert_eq!(
            of("README.md", "a\nd --socket=x"),
            ["README.md:2: there is no option --socket"]
        );
    }

    #[test]
    fn option_of_another_daemon_is_refused_on_a_page() {
        assert_eq!(of("docs/d.md", "d --tap t"), ["docs/d.md:1: there is no option --tap"]);
    }

    #[test]
    fn page_of_others_may_name_any_option() {
        let source = |path: &str| Source { path: path.to_owned(), text: "fio --direct".to_owned() };
        let helps = Helps::new();
        assert!(check(&helps, &[source(PAGE_OF_OTHERS)]).is_empty());
        assert_eq!(check(&helps, &[source("docs/e.md")]).len(), 1);
    }

    #[test]
    fn daemon_without_a_page_is_refused() {
        let findings = check(&helps(), &[]);
        assert_eq!(findings[0], Finding::new("docs/d.md", 1, "d has no page"));
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The tables of options on a daemon's page: between two marks, from its parser.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Arg, Command};

use crate::daemons::Daemon;

/// What stands before and behind the tables.
const BEGIN: &str = "<!-- These tables are written by `cargo xtask man --docs`. -->\n";
const END: &str = "<!-- Until here. -->\n";

/// What a help says in brackets where the parser itself knows no default.
const DEFAULT: &str = " [default: ";

/// The heading of what every program has.
const WITHOUT_HEADING: &str = "Other";

/// Writes the tables on the daemon's page among `docs` anew.
///
/// # Errors
/// There is no page, it has no marks, or it can't be written.
pub(crate) fn write(daemon: &Daemon, docs: &Path) -> Result<()> {
    let (page, text) = (daemon.page(docs), daemon.page_text(docs)?);
    let (before, _, after) =
        split(&text).with_context(|| format!("find `{BEGIN}{END}` on {}", page.display()))?;
    let tables = tables(&daemon.parser());
    fs::write(&page, format!("{before}{BEGIN}{tables}{END}{after}"))
        .with_context(|| format!("write {}", page.display()))
}

/// A page as what is before, between and behind the marks.
pub(crate) fn split(page: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (between, after) = rest.split_once(END)?;
    Some((before, between, after))
}

/// A table for each heading of the parser's help, in the order of the help.
fn tables(parser: &Command) -> String {
    let arguments = || parser.get_arguments().filter(|argument| !argument.is_hide_set());
    let mut headings: Vec<Option<&str>> = Vec::new();
    for argument in arguments() {
        if !headings.contains(&argument.get_help_heading()) {
            headings.push(argument.get_help_heading());
        }
    }
    // What is without a heading comes last.
    headings.sort_by_key(Option::is_none);
    let mut tables = String::new();
    for heading in headings {
        let rows = arguments().filter(|argument| argument.get_help_heading() == heading);
        let rows: String = rows.map(row).collect();
        let heading = heading.unwrap_or(WITHOUT_HEADING);
        tables +=
            &format!("\n**{heading}**\n\n| option | meaning | default |\n|---|---|---|\n{rows}");
    }
    tables + "\n"
}

fn row(argument: &Arg) -> String {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let (meaning, default) = match help.split_once(DEFAULT) {
        Some((meaning, rest)) => (meaning, rest.trim_end_matches(['.', ']']).to_owned()),
        None => (help.as_str(), default_of(argument)),
    };
    let meaning = format!("{}.{}", meaning.trim_end_matches('.'), values(argument));
    format!("| {} | {} | {} |\n", names(argument), cell(&meaning), cell(&default))
}

/// A text as a cell of a table can have it, with options as code.
fn cell(text: &str) -> String {
    let word = |word: &str| {
        let end = word.trim_end_matches([',', '.', ';', ':', ')']).len();
        if word.starts_with("--") {
            format!("`{}`{}", &word[..end], &word[end..])
        } else {
            word.replace('|', "\\|")
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// `` `-s`, `--socket-path PATH` ``.
fn names(argument: &Arg) -> String {
    let takes = argument.get_action().takes_values();
    let value = argument.get_value_names().filter(|_| takes);
    let between = match argument.get_num_args() {
        Some(number) if number.min_values() == 0 => ["[=", "]"],
        _ if argument.is_require_equals_set() => ["=", ""],
        _ => [" ", ""],
    };
    let value = value.into_iter().flatten();
    let value: String = value.map(|name| [between[0], name, between[1]].concat()).collect();
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let mut names: Vec<_> = short.into_iter().chain(long).collect();
    if let Some(last) = names.last_mut() {
        *last += &value;
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn default_of(argument: &Arg) -> String {
    let takes = argument.get_action().takes_values();
    let values = argument.get_default_values().iter().filter(|_| takes);
    let values: Vec<_> = values.map(|value| format!("`{}`", value.display())).collect();
    values.join(", ")
}

/// A line for each of the values that the option can have, if they are few.
fn values(argument: &Arg) -> String {
    if !argument.get_action().takes_values() {
        return String::new();
    }
    let values = argument.get_possible_values().into_iter().filter(|value| !value.is_hide_set());
    let line = |value: clap::builder::PossibleValue| {
        let help = value.get_help().map(|help| format!(": {help}")).unwrap_or_default();
        format!("<br>`{}`{help}", value.get_name())
    };
    values.map(line).collect()
}

#[cfg(test)]
mod tests {
    use clap::builder::PossibleValue;

    use super::*;
    use crate::daemons;

    fn row_of(argument: Arg) -> String {
        let mut command = Command::new("d").arg(argument.id("x"));
        command.build();
        row(command.get_arguments().find(|argument| argument.get_id() == "x").unwrap())
    }

    #[test]
    fn value_is_shown_as_it_is_typed() {
        let argument = || Arg::new("x").long("mode").value_name("MODE").require_equals(true);
        assert!(row_of(argument()).starts_with("| `--mode=MODE` |"));
        assert!(row_of(argument().num_args(0..=1)).starts_with("| `--mode[=MODE]` |"));
    }

    #[test]
    fn tables_of_every_page_are_those_of_its_parser() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        for daemon in &daemons::ALL {
            let page = daemon.page_text(&docs).unwrap();
            let (_, between, _) = split(&page).expect("the marks");
            let stale = "its tables are stale; `cargo xtask man --docs` writes them";
            assert!(between == tables(&daemon.parser()), "{}: {stale}", daemon.name());
        }
    }

    #[test]
    fn row_of_an_option_with_a_value_names_it_and_its_default() {
        let argument = Arg::new("").short('n').long("num").value_name("N").default_value("7");
        assert_eq!(row_of(argument.help("Take N")), "| `-n`, `--num N` | Take N. | `7` |\n");
    }

    #[test]
    fn row_of_an_option_whose_help_tells_the_default_has_it_in_its_column() {
        let argument = Arg::new("").long("cpus").value_name("LIST");
        let row = row_of(argument.help("Run on LIST [default: with --all, any | CPU]"));
        assert_eq!(row, "| `--cpus LIST` | Run on LIST. | with `--all`, any \\| CPU |\n");
    }

    #[test]
    fn row_of_an_option_with_few_values_explains_each() {
        let values = [PossibleValue::new("off").help("Nothing"), PossibleValue::new("on")];
        let argument = Arg::new("").long("log").value_name("L").value_parser(values);
        let row = row_of(argument.help("Log."));
        assert_eq!(row, "| `--log L` | Log.<br>`off`: Nothing<br>`on` |  |\n");
    }

    #[test]
    fn row_of_a_flag_has_neither_value_nor_default() {
        let argument = Arg::new("").long("read-only").action(clap::ArgAction::SetTrue);
        assert_eq!(row_of(argument.help("Refuse")), "| `--read-only` | Refuse. |  |\n");
    }

    #[test]
    fn tables_come_by_heading_and_the_rest_last() {
        let one = Arg::new("a").long("a").help("A").help_heading("One");
        let two = Arg::new("b").long("b").help("B").help_heading("Two");
        let mut command = Command::new("d").args([two, one]);
        command.build();
        let headings: Vec<_> = tables(&command)
            .lines()
            .filter(|line| line.starts_with("**"))
            .map(str::to_owned)
            .collect();
        assert_eq!(headings, ["**Two**", "**One**", "**Other**"]);
    }
}

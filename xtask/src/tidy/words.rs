// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! One word for each thing, and none that says nothing.

use super::{Finding, code};

/// Words that a type's name is not made of: they fit everything.
const OF_TYPES: [&str; 10] =
    ["Manager", "Helper", "Helpers", "Handler", "Util", "Utils", "Info", "Data", "Misc", "Wrapper"];

/// How a function's name does not begin: say what is done.
const OF_FUNCTIONS: [&str; 3] = ["do_", "process_", "handle_"];

/// Functions of traits that are not ours, which have the names that they have.
const OF_OTHERS: [&str; 1] = ["handle_event"];

/// What a file is not called: a drawer for everything.
const OF_FILES: [&str; 6] =
    ["util.rs", "utils.rs", "helper.rs", "helpers.rs", "common.rs", "misc.rs"];

/// Words for the ends of a connection that the vhost-user specification has given up.
const OF_ENDS: [&str; 4] = ["master", "masters", "slave", "slaves"];

/// This file has to name what it refuses.
const THIS: &str = "xtask/src/tidy/words.rs";

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    if path == THIS || path.ends_with("Cargo.lock") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if OF_FILES.iter().any(|name| path.ends_with(&format!("/{name}"))) {
        findings.push(Finding::new(path, 1, "its name says nothing about what is in it"));
    }
    for (at, line) in text.lines().enumerate() {
        findings.extend(ends(line).map(|text| Finding::new(path, at + 1, text)));
    }
    if path.ends_with(".rs") {
        for (at, line) in code::plain(text).lines().enumerate() {
            findings.extend(names(line).map(|text| Finding::new(path, at + 1, text)));
        }
    }
    findings
}

fn ends(line: &str) -> Option<String> {
    // Addresses are other people's.
    let own = line.split_whitespace().filter(|word| !word.contains("://"));
    let mut words = own.flat_map(|word| word.split(|char: char| !char.is_alphabetic()));
    let word = words.find(|word| OF_ENDS.contains(&word.to_lowercase().as_str()))?;
    Some(format!(
        "`{word}`: the ends are the front end and the back end, the driver and the device"
    ))
}

fn names(line: &str) -> Option<String> {
    let names: Vec<_> = code::names(line).collect();
    let definition = names.windows(2).find_map(|pair| match pair[0] {
        "struct" | "enum" | "trait" | "type" | "union" => type_word(pair[1]),
        "fn" if OF_OTHERS.contains(&pair[1]) => None,
        "fn" => OF_FUNCTIONS.into_iter().find(|word| pair[1].starts_with(word)),
        _ => None,
    })?;
    Some(format!("`{definition}` in a name says nothing: use the word for what it is"))
}

/// The banned word that a name in camel case is made of.
fn type_word(name: &str) -> Option<&'static str> {
    OF_TYPES.into_iter().find(|word| {
        name.match_indices(word).any(|(at, _)| {
            // `Data` of `RequestData` and `DataRequest`, but not of `Database`.
            !name[at + word.len()..].starts_with(|char: char| char.is_lowercase())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Vec<String> {
        check("a/src/b.rs", line).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn empty_words_in_names_are_refused() {
        for (line, word) in [
            ("struct QueueManager;", "Manager"),
            ("pub enum DataKind {}", "Data"),
            ("fn process_message() {}", "process_"),
        ] {
            let refusal = "in a name says nothing: use the word for what it is";
            assert_eq!(of(line), [format!("a/src/b.rs:1: `{word}` {refusal}")]);
        }
    }

    #[test]
    fn names_of_others_are_let_pass() {
        assert!(of("let x: io::DataManager = y; // struct Helper").is_empty());
        assert!(of("struct Database; fn processed() {}").is_empty());
        assert!(of("fn handle_event(&mut self) {}").is_empty());
    }

    #[test]
    fn old_words_for_the_ends_are_refused_in_comments_too() {
        let refusal = "the ends are the front end and the back end, the driver and the device";
        assert_eq!(of("// sent to the Slave"), [format!("a/src/b.rs:1: `Slave`: {refusal}")]);
        assert_eq!(of("x(SLAVE_REQ)"), [format!("a/src/b.rs:1: `SLAVE`: {refusal}")]);
        assert!(of("// see https://example.org/blob/master/x").is_empty());
    }

    #[test]
    fn drawers_for_everything_are_refused() {
        let findings = check("a/src/utils.rs", "");
        assert_eq!(findings[0].text, "its name says nothing about what is in it");
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Versions, lints and the edition are said once, in the manifest of the workspace; a workspace
//! apart has to say them again, but may not say other ones.

use super::Finding;

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut section = "";
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        } else if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let said_here = match section {
            "package" => {
                let said_once = ["version", "edition", "rust-version", "license", "publish"];
                let key = line.split([' ', '=']).next().unwrap_or_default();
                said_once.contains(&key)
            }
            _ => is_dependency(section, line) && !line.contains("workspace = true"),
        };
        if said_here {
            findings.push(Finding::new(path, at + 1, "is to be said in the workspace's manifest"));
        }
    }
    if !text.contains("\n[lints]\nworkspace = true\n") {
        findings.push(Finding::new(path, 1, "lacks the lints of the workspace"));
    }
    findings
}

fn is_dependency(section: &str, line: &str) -> bool {
    // What is there is what the packages inherit.
    let of_the_workspace = section.starts_with("workspace");
    section.ends_with("dependencies") && !of_the_workspace && line.contains('=')
}

/// Compares the manifest of a workspace apart with that of ours.
pub(super) fn compare(path: &str, text: &str, ours: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let known: Vec<_> = section(ours, "workspace.dependencies").map(|(_, line)| line).collect();
    for (at, line) in section(text, "workspace.dependencies") {
        let Some((name, version)) = version(line) else { continue };
        let other = known.iter().filter_map(|line| self::version(line));
        let other = other.filter(|(other, _)| *other == name).find(|(_, other)| *other != version);
        if let Some((_, other)) = other {
            let text = format!("{name} {version} is {other} in the other workspace");
            findings.push(Finding::new(path, at, text));
        }
    }
    let lints = |text| section(text, "workspace.lints.clippy").map(|(_, line)| line);
    if !lints(text).eq(lints(ours)) {
        findings.push(Finding::new(path, 1, "has other lints of clippy's than the workspace"));
    }
    findings
}

/// The lines of a section that say something, with their numbers.
fn section<'a>(text: &'a str, name: &str) -> impl Iterator<Item = (usize, &'a str)> {
    let head = format!("[{name}]");
    let lines = (1..).zip(text.lines()).skip_while(move |(_, line)| *line != head).skip(1);
    let lines = lines.take_while(|(_, line)| !line.starts_with('['));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// Name and version of a dependency, if its line says one.
fn version(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(" = ")?;
    let value = match value.strip_prefix('{') {
        None => value,
        Some(table) => table.split_once("version = ")?.1,
    };
    Some((name, value.split('"').nth(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"a\"\nversion.workspace = true\n\n[lints]\n\
                        workspace = true\n\n[dependencies]\nlog.workspace = true\n\
                        x = { workspace = true, features = [\"y\"] }\n";

    fn of(text: &str) -> Vec<String> {
        check("a/Cargo.toml", text).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn manifest_that_inherits_is_let_pass() {
        assert!(of(GOOD).is_empty(), "{:?}", of(GOOD));
    }

    #[test]
    fn version_of_a_dependency_is_refused() {
        let text = GOOD.replace("log.workspace = true", "log = \"0.4\"");
        assert_eq!(of(&text), ["a/Cargo.toml:9: is to be said in the workspace's manifest"]);
    }

    #[test]
    fn version_of_the_package_is_refused() {
        let text = GOOD.replace("version.workspace = true", "version = \"1.0.0\"");
        assert_eq!(of(&text), ["a/Cargo.toml:3: is to be said in the workspace's manifest"]);
    }

    const ROOT: &str = "[workspace.dependencies]\na = \"1\"\nb = { version = \"2\", x = [] }\n\
                        c = { path = \"c\" }\n\n[workspace.lints.clippy]\nall = \"warn\"\n";

    fn compared(text: &str) -> Vec<String> {
        compare("a/Cargo.toml", text, ROOT).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn workspace_apart_that_says_the_same_is_let_pass() {
        assert!(compared(ROOT).is_empty(), "{:?}", compared(ROOT));
        assert!(compared(&ROOT.replace("b = ", "d = ")).is_empty());
        assert!(of(&GOOD.replace("[dependencies]\nlog.workspace = true", ROOT)).is_empty());
    }

    #[test]
    fn workspace_apart_that_says_another_version_is_refused() {
        let findings = compared(&ROOT.replace("\"2\"", "\"3\""));
        assert_eq!(findings, ["a/Cargo.toml:3: b 3 is 2 in the other workspace"]);
    }

    #[test]
    fn workspace_apart_with_other_lints_is_refused() {
        let findings = compared(&ROOT.replace("warn", "allow"));
        assert_eq!(findings, ["a/Cargo.toml:1: has other lints of clippy's than the workspace"]);
    }

    #[test]
    fn manifest_without_the_lints_is_refused() {
        let text = GOOD.replace("[lints]\nworkspace = true\n", "");
        assert_eq!(of(&text), ["a/Cargo.toml:1: lacks the lints of the workspace"]);
    }
}

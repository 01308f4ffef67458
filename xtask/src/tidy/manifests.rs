// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Versions, lints and the edition are said once, in the manifest of the workspace.

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
    section.ends_with("dependencies") && line.contains('=')
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

    #[test]
    fn manifest_without_the_lints_is_refused() {
        let text = GOOD.replace("[lints]\nworkspace = true\n", "");
        assert_eq!(of(&text), ["a/Cargo.toml:1: lacks the lints of the workspace"]);
    }
}

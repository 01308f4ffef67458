// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Nothing names the machine it was built on, or a host that packages are fetched from: these
//! differ from person to person, and each has set up their own.

use super::Finding;

/// Beginnings of paths, cut in two here so that this file does not break its own rule.
const PATHS: [(&str, &str); 5] =
    [("/ho", "me/"), ("/Us", "ers/"), ("/wo", "rk/"), ("/buil", "ds/"), (".cargo/", "registry")];

/// Hosts of package registries.
const REGISTRIES: [(&str, &str); 5] = [
    ("crates", ".io"),
    ("pypi", ".org"),
    ("files.python", "hosted"),
    ("registry.", "npmjs"),
    ("deb.", "debian"),
];

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    // Cargo writes the registry's address to its lock file.
    if path.ends_with("Cargo.lock") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for (one, two) in PATHS {
            let needle = one.to_owned() + two;
            if begins_a_path(line, &needle) {
                let text = format!("names a path of somebody's machine: {needle}");
                findings.push(Finding::new(path, at + 1, text));
            }
        }
        for (one, two) in REGISTRIES {
            let needle = one.to_owned() + two;
            if line.contains(&needle) {
                findings.push(Finding::new(path, at + 1, format!("names a registry: {needle}")));
            }
        }
    }
    findings
}

/// Whether a path in this line begins so; `a/b/` is no path that begins with `/b/`.
fn begins_a_path(line: &str, needle: &str) -> bool {
    line.match_indices(needle).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !needle.starts_with('/')
            || !before.is_some_and(|char| char.is_alphanumeric() || "._-}*".contains(char))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(one: &str, two: &str) -> Vec<String> {
        let text = format!("# head\nsee {one}{two}\n");
        check("a.md", &text).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn path_of_a_machine_is_refused() {
        let needle = "/ho".to_owned() + "me/";
        let refusal = format!("a.md:2: names a path of somebody's machine: {needle}");
        assert_eq!(of("/ho", "me/me/tree"), [refusal]);
    }

    #[test]
    fn same_name_further_down_a_path_is_let_pass() {
        assert!(of("/guest/ho", "me/me").is_empty());
        assert!(of("target/wo", "rk/x").is_empty());
    }

    #[test]
    fn host_of_a_registry_is_refused() {
        let refusal = format!("a.md:2: names a registry: {}{}", "crates", ".io");
        assert_eq!(of("https://crates", ".io/x"), [refusal]);
    }

    #[test]
    fn lock_file_may_name_the_registry() {
        assert!(check("Cargo.lock", &("crates".to_owned() + ".io")).is_empty());
    }
}

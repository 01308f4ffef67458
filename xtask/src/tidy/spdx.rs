// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Every file says first, in its own kind of comment, under which licence it is.

use super::Finding;

const LICENCE: &str = "SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause";

/// Files that are the licence, that a program writes, or that take no comment.
const WITHOUT: [&str; 3] = ["LICENSE-APACHE", "LICENSE-BSD-3-Clause", ".gitignore"];

pub(super) fn check(path: &str, text: &str) -> Option<Finding> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if WITHOUT.contains(&path) || name == "Cargo.lock" || path.ends_with(".json") {
        return None;
    }
    let expected = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("rs" | "c" | "h") => format!("// {LICENCE}"),
        Some("md" | "svg") => format!("<!-- {LICENCE} -->"),
        _ => format!("# {LICENCE}"),
    };
    let mut lines = text.lines();
    let first = match lines.next() {
        Some(line) if line.starts_with("#!/") => lines.next(),
        line => line,
    };
    (first != Some(expected.as_str()))
        .then(|| Finding::new(path, 1, format!("does not begin with `{expected}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_with_the_line_in_its_comments_is_let_pass() {
        assert_eq!(check("a/src/b.rs", &format!("// {LICENCE}\n")), None);
        assert_eq!(check("README.md", &format!("<!-- {LICENCE} -->\n\n# x\n")), None);
        assert_eq!(check("a.svg", &format!("<!-- {LICENCE} -->\n<svg/>\n")), None);
        assert_eq!(check("test", &format!("#!/bin/sh\n# {LICENCE}\n")), None);
        assert_eq!(check(".github/x.yml", &format!("# {LICENCE}\n")), None);
        assert_eq!(check("Cargo.lock", "# generated\n"), None);
        assert_eq!(check("a/Cargo.lock", "# generated\n"), None);
    }

    #[test]
    fn file_without_the_line_is_refused() {
        let finding = check("a/src/b.rs", "//! Docs\n").unwrap().to_string();
        assert_eq!(finding, format!("a/src/b.rs:1: does not begin with `// {LICENCE}`"));
    }

    #[test]
    fn file_with_another_licence_is_refused() {
        assert!(check("a/src/b.rs", "// SPDX-License-Identifier: GPL-2.0\n").is_some());
    }

    #[test]
    fn file_with_the_line_further_down_is_refused() {
        assert!(check("a/src/b.rs", &format!("//! Docs\n// {LICENCE}\n")).is_some());
    }
}

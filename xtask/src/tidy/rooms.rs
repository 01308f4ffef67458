// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `unsafe` stays in its rooms, from which only safe wrappers go out.

use super::{Finding, code};

/// The files, beside every `sys.rs` and what is under a `sys/`, that may say `unsafe`.
const ROOMS: [&str; 1] = ["vhost-user-device/src/ring/guest.rs"];

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    if is_room(path) {
        return Vec::new();
    }
    let plain = code::plain(text);
    let mut findings = Vec::new();
    for (at, line) in plain.lines().enumerate() {
        if code::names(line).any(|name| name == "unsafe") {
            let text = "`unsafe` outside the rooms that rooms.rs names";
            findings.push(Finding::new(path, at + 1, text));
        }
    }
    findings
}

fn is_room(path: &str) -> bool {
    path.ends_with("/sys.rs") || path.contains("/sys/") || ROOMS.contains(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_says_unsafe_outside_is_refused() {
        let findings = check("a/src/b.rs", "fn f() {\n    unsafe { g() }\n}\n");
        assert_eq!(
            findings,
            [Finding::new("a/src/b.rs", 2, "`unsafe` outside the rooms that rooms.rs names")]
        );
    }

    #[test]
    fn rooms_may_say_it() {
        for room in ["a/src/sys.rs", "a/src/sys/poll.rs", ROOMS[0]] {
            assert!(check(room, "unsafe { g() }").is_empty(), "{room}");
        }
    }

    #[test]
    fn comments_texts_and_lints_may_say_it() {
        let text = "// unsafe\n#[expect(unsafe_code, reason = \"unsafe\")]\nmod sys;\n";
        assert!(check("a/src/b.rs", text).is_empty());
    }
}

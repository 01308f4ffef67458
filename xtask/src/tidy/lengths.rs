// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Files that one reads at a sitting: 300 lines without tests is the aim.

use super::{Finding, code};

/// From here on a file probably has a second noun in it, that wants a file of its own.
const LONG: usize = 500;
/// Longer than this is refused, but for the [`EXCEPTIONS`].
const TOO_LONG: usize = 800;
/// A main parses, opens, serves and reports: all else is somebody else's.
const MAIN: usize = 40;

/// Files that may be longer than [`TOO_LONG`], each with its reason.
const EXCEPTIONS: [(&str, &str); 0] = [];

pub(super) fn check(path: &str, text: &str) -> Option<Finding> {
    let lines = code::lines_before_tests(text);
    let is_main = path.ends_with("/src/main.rs");
    let excepted = EXCEPTIONS.iter().any(|(file, _)| *file == path);
    match lines {
        _ if is_main && lines > MAIN => {
            Some(Finding::new(path, lines, format!("{lines} lines; a main has at most {MAIN}")))
        }
        _ if lines > TOO_LONG && !excepted => {
            let text =
                format!("{lines} lines without tests; {TOO_LONG} need a reason in lengths.rs");
            Some(Finding::new(path, lines, text))
        }
        _ if lines > LONG && !excepted => {
            let text = format!("{lines} lines without tests: look for the second noun");
            Some(Finding::advice(path, lines, text))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, lines: usize, lines_of_tests: usize) -> Option<String> {
        let tests = "#[cfg(test)]\nmod tests {\n".to_owned() + &"\n".repeat(lines_of_tests);
        check(path, &("\n".repeat(lines) + &tests)).map(|finding| finding.to_string())
    }

    #[test]
    fn tests_do_not_make_a_file_long() {
        assert_eq!(of("a/src/b.rs", 300, 900), None);
    }

    #[test]
    fn long_file_gets_advice() {
        let advice = "a/src/b.rs:501: advice: 501 lines without tests: look for the second noun";
        assert_eq!(of("a/src/b.rs", 501, 0).unwrap(), advice);
    }

    #[test]
    fn too_long_file_is_refused() {
        let refusal = "a/src/b.rs:801: 801 lines without tests; 800 need a reason in lengths.rs";
        assert_eq!(of("a/src/b.rs", 801, 0).unwrap(), refusal);
    }

    #[test]
    fn main_has_its_own_limit() {
        assert_eq!(of("a/src/main.rs", 40, 0), None);
        let refusal = "a/src/main.rs:41: 41 lines; a main has at most 40";
        assert_eq!(of("a/src/main.rs", 41, 0).unwrap(), refusal);
    }
}

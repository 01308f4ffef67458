// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Just enough of Rust's grammar to tell code from comments, text and tests.

/// The source with a space for each character of a comment or a literal; lines stay lines.
pub(crate) fn plain(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut plain = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = comment_end(&chars, at).or_else(|| literal_end(&chars, at));
        if let Some(end) = end {
            let blanks = chars[at..end].iter().map(|char| if *char == '\n' { '\n' } else { ' ' });
            plain.extend(blanks);
            at = end;
        } else {
            // A whole name, so that its last letters are not taken for a literal's prefix.
            let name = chars[at..].iter().take_while(|char| is_name(**char)).count().max(1);
            plain.extend(&chars[at..at + name]);
            at += name;
        }
    }
    plain
}

/// How many lines come before the first module of tests: all, if there is none.
pub(crate) fn lines_before_tests(text: &str) -> usize {
    let lines: Vec<_> = text.lines().collect();
    let opens_tests = |at: &usize| {
        let is_attribute = |line: &&&str| line.starts_with("#[");
        let tests = lines[*at].starts_with("#[cfg(") && lines[*at].contains("test");
        let item = lines[*at..].iter().find(|line| !is_attribute(line));
        tests && item.is_some_and(|item| item.starts_with("mod ") && item.ends_with('{'))
    };
    (0..lines.len()).find(opens_tests).unwrap_or(lines.len())
}

/// The names and keywords in a line of plain code.
pub(crate) fn names(line: &str) -> impl Iterator<Item = &str> {
    line.split(|char| !is_name(char)).filter(|name| !name.is_empty())
}

fn is_name(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn comment_end(chars: &[char], at: usize) -> Option<usize> {
    match (chars[at], chars.get(at + 1)?) {
        ('/', '/') => Some(find(chars, at, "\n").unwrap_or(chars.len())),
        ('/', '*') => {
            let (mut end, mut depth) = (at + 2, 1);
            while depth > 0 && end < chars.len() {
                if starts_with(chars, end, "/*") {
                    (end, depth) = (end + 2, depth + 1);
                } else if starts_with(chars, end, "*/") {
                    (end, depth) = (end + 2, depth - 1);
                } else {
                    end += 1;
                }
            }
            Some(end)
        }
        _ => None,
    }
}

/// The end of the string or character that begins here, its prefix included.
fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        let rest = at + prefix.len();
        let raw = prefix.ends_with('r');
        starts_with(chars, at, prefix)
            && chars[rest..].iter().find(|char| !raw || **char != '#').is_some_and(|char| {
                *char == '"' || (!raw && *char == '\'' && is_character(chars, rest))
            })
    })?;
    let open = at + prefix.len();
    if prefix.ends_with('r') {
        let hashes = chars[open..].iter().take_while(|char| **char == '#').count();
        let close = format!("\"{}", "#".repeat(hashes));
        let end = find(chars, open + hashes + 1, &close).map(|end| end + close.len());
        return Some(end.unwrap_or(chars.len()));
    }
    let mut end = open + 1;
    while end < chars.len() && chars[end] != chars[open] {
        end += if chars[end] == '\\' { 2 } else { 1 };
    }
    Some((end + 1).min(chars.len()))
}

/// Whether a quotation mark begins a character and not a lifetime.
fn is_character(chars: &[char], at: usize) -> bool {
    chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'')
}

fn starts_with(chars: &[char], at: usize, text: &str) -> bool {
    let mut rest = chars[at.min(chars.len())..].iter();
    text.chars().all(|char| rest.next() == Some(&char))
}

fn find(chars: &[char], from: usize, text: &str) -> Option<usize> {
    (from..chars.len()).find(|at| starts_with(chars, *at, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_blanked_and_lines_stay_lines() {
        assert_eq!(plain("a // b\nc /* d\n/* e */ f */ g"), "a     \nc     \n             g");
    }

    #[test]
    fn literals_are_blanked_with_what_looks_like_their_end() {
        assert_eq!(plain(r#"a "b\"c" d"#), "a        d");
        assert_eq!(plain(r##"a r#"b"c"# d"##), "a          d");
        assert_eq!(plain(r"a b'\'' d"), "a       d");
        assert_eq!(plain("a '\"' d"), "a     d");
    }

    #[test]
    fn lifetimes_are_code() {
        assert_eq!(plain("fn f<'a>(x: &'a str)"), "fn f<'a>(x: &'a str)");
    }

    #[test]
    fn name_that_ends_like_a_prefix_is_code() {
        assert_eq!(plain("attr\"x\""), "attr   ");
        assert_eq!(plain("ring.r#loop"), "ring.r#loop");
    }

    #[test]
    fn literal_that_never_ends_is_blanked_to_the_end() {
        assert_eq!(plain("a \"b\nc"), "a   \n ");
        assert_eq!(plain("a r#\"b"), "a     ");
    }

    #[test]
    fn tests_begin_with_the_attribute_of_their_module() {
        assert_eq!(lines_before_tests("a\n#[cfg(test)]\nmod tests {\n}\n"), 1);
        let model = "a\nb\n#[cfg(all(test, loom))]\n#[expect(x)]\nmod model {\n}\n";
        assert_eq!(lines_before_tests(model), 2);
        assert_eq!(lines_before_tests("a\n#[cfg(test)]\nmod tests;\nb\n"), 4);
    }
}

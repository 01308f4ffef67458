// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Users or groups of a user namespace.

use std::str::FromStr;

/// A range of users or groups, and what they are called outside of the user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The first one, inside.
    pub inside: u32,
    /// The first one, outside.
    pub outside: u32,
    /// How many there are, 1 or more.
    pub count: u32,
}

impl IdRange {
    /// Whether what is called `outside` out there is one of these.
    pub(crate) fn has(&self, outside: u32) -> bool {
        outside.checked_sub(self.outside).is_some_and(|distance| distance < self.count)
    }

    /// As /proc/self/uid_map takes it.
    pub(crate) fn line(&self) -> String {
        let Self { inside, outside, count } = self;
        format!("{inside} {outside} {count}")
    }
}

/// Not a range of users or groups.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}: not :INSIDE:OUTSIDE:COUNT: with numbers from 0 to 4294967295 that fit")]
pub struct NoIdRange(String);

/// `:INSIDE:OUTSIDE:COUNT:`; whatever it begins with separates the parts.
impl FromStr for IdRange {
    type Err = NoIdRange;

    fn from_str(text: &str) -> Result<Self, NoIdRange> {
        parse(text).ok_or_else(|| NoIdRange(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<IdRange> {
    let separator = text.chars().next().filter(|first| !first.is_alphanumeric())?;
    let parts: Vec<&str> = text.split(separator).collect();
    let ["", inside, outside, count, ""] = parts[..] else { return None };
    let [inside, outside, count] = [inside, outside, count].map(number);
    let range = IdRange { inside: inside?, outside: outside?, count: count? };
    let fits = |first: u32| range.count > 0 && first.checked_add(range.count - 1).is_some();
    (fits(range.inside) && fits(range.outside)).then_some(range)
}

fn number(text: &str) -> Option<u32> {
    // Without a sign, which parsing alone would take.
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_is_read_with_any_separator() {
        let expected = IdRange { inside: 0, outside: 100_000, count: 65_536 };
        for text in [":0:100000:65536:", "/0/100000/65536/"] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        assert_eq!(expected.line(), "0 100000 65536");
    }

    #[test]
    fn range_has_what_lies_between_its_ends() {
        let range: IdRange = ":0:1000:2:".parse().unwrap();
        assert_eq!([999, 1000, 1001, 1002].map(|id| range.has(id)), [false, true, true, false]);
    }

    #[test]
    fn text_that_is_no_range_is_refused() {
        let whole: IdRange = ":0:0:4294967295:".parse().unwrap();
        assert_eq!(whole.count, u32::MAX);
        for text in [
            "",
            ":",
            "0:1:2",
            ":0:1:2",
            "0:1:2:",
            ":0:1:",
            ":0:1:2:3:",
            ":0:1:0:",
            ":+0:1:2:",
            ":0:4294967296:1:",
            ":0:4294967295:2:",
            "101112131",
        ] {
            let message = format!(
                "{text:?}: not :INSIDE:OUTSIDE:COUNT: with numbers from 0 to 4294967295 that fit"
            );
            assert_eq!(text.parse::<IdRange>().unwrap_err().to_string(), message);
        }
    }
}

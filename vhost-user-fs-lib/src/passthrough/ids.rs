// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Users and groups: the client's numbers in those of the host, and back.

use std::ops::Range;

use crate::filesystem::{Failure, Result};

/// How users and groups are translated. The default leaves all numbers as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Translation {
    /// Of users.
    pub uid: IdMap,
    /// Of groups.
    pub gid: IdMap,
}

/// How the numbers of one kind are translated: each way by itself, and what no rule is about stays as it
/// is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdMap {
    to_host: Ranges,
    to_client: Ranges,
}

/// Rules for one way, in the order of their numbers; no two are about the same number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ranges(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    from: Range<u64>,
    to: Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// The first number becomes this one, the next the next.
    Each(u32),
    /// All become this one.
    One(u32),
    /// None may be used.
    Forbidden,
}

/// A rule makes no sense, by itself or beside the others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdMapError {
    /// The form of a rule.
    #[error("{0:?}: not TYPE:SOURCE:TARGET:COUNT, or forbid-guest:SOURCE:COUNT")]
    Form(String),
    /// No such type of rule.
    #[error(
        "{rule:?}: there is no {kind:?}, only guest, host, map, squash-guest, squash-host and \
         forbid-guest"
    )]
    Kind {
        /// All of it.
        rule: String,
        /// The type.
        kind: String,
    },
    /// A number.
    #[error("{rule:?}: {number:?} is not a number from 0 to 4294967295")]
    Number {
        /// All of it.
        rule: String,
        /// The number.
        number: String,
    },
    /// Numbers beyond the last one.
    #[error("{0:?}: the range ends beyond 4294967295")]
    Long(String),
    /// No numbers at all.
    #[error("{0:?}: the range is empty")]
    Empty(String),
    /// Two rules for one number.
    #[error("{0:?}: an earlier rule is about some of these numbers, too")]
    Overlap(String),
}

impl IdMap {
    /// Makes a map of what was typed: `guest:G:H:COUNT`, `host:H:G:COUNT`, `map:G:H:COUNT`,
    /// `squash-guest:G:H:COUNT`, `squash-host:H:G:COUNT`, `forbid-guest:G:COUNT`.
    ///
    /// # Errors
    /// A rule makes no sense.
    pub fn parse<R: AsRef<str>>(rules: impl IntoIterator<Item = R>) -> Result_<Self> {
        let mut map = Self::default();
        for rule in rules {
            map.add(rule.as_ref())?;
        }
        Ok(map)
    }

    /// The host's number for one of the client's.
    ///
    /// # Errors
    /// EPERM: it must not be used.
    pub fn to_host(&self, id: u32) -> Result<u32> {
        self.to_host.translate(id).ok_or(Failure::EPERM)
    }

    /// The client's number for one of the host's.
    pub fn to_client(&self, id: u32) -> u32 {
        self.to_client.translate(id).unwrap_or(OVERFLOW)
    }

    /// Whether all numbers stay as they are.
    pub fn is_identity(&self) -> bool {
        self.to_host.0.is_empty() && self.to_client.0.is_empty()
    }

    fn add(&mut self, rule: &str) -> Result_<()> {
        let form = || IdMapError::Form(rule.to_owned());
        let (kind, numbers) = rule.split_once(':').ok_or_else(form)?;
        let numbers: Vec<u32> = numbers
            .split(':')
            .map(|number| parse_number(rule, number))
            .collect::<std::result::Result<_, _>>()?;
        let three = |numbers: &[u32]| match *numbers {
            [source, target, count] => Ok((source, target, count)),
            _ => Err(form()),
        };
        match kind {
            "guest" | "host" | "map" => {
                let (source, target, count) = three(&numbers)?;
                range(rule, target, count)?;
                if kind != "host" {
                    self.to_host.add(rule, source, count, Target::Each(target))?;
                }
                match kind {
                    "host" => self.to_client.add(rule, source, count, Target::Each(target)),
                    "map" => self.to_client.add(rule, target, count, Target::Each(source)),
                    _ => Ok(()),
                }
            }
            "squash-guest" | "squash-host" => {
                let (source, target, count) = three(&numbers)?;
                let ranges =
                    if kind == "squash-guest" { &mut self.to_host } else { &mut self.to_client };
                ranges.add(rule, source, count, Target::One(target))
            }
            "forbid-guest" => match *numbers {
                [source, count] => self.to_host.add(rule, source, count, Target::Forbidden),
                _ => Err(form()),
            },
            _ => Err(IdMapError::Kind { rule: rule.to_owned(), kind: kind.to_owned() }),
        }
    }
}

/// What the kernel calls a user that it cannot name.
const OVERFLOW: u32 = 65534;

type Result_<T> = std::result::Result<T, IdMapError>;

fn parse_number(rule: &str, number: &str) -> Result_<u32> {
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number
        .parse()
        .ok()
        .filter(|_| is_number)
        .ok_or_else(|| IdMapError::Number { rule: rule.to_owned(), number: number.to_owned() })
}

/// The numbers from `start` on, `count` of them.
fn range(rule: &str, start: u32, count: u32) -> Result_<Range<u64>> {
    let end = u64::from(start) + u64::from(count);
    match count {
        0 => Err(IdMapError::Empty(rule.to_owned())),
        _ if end > 1 << 32 => Err(IdMapError::Long(rule.to_owned())),
        _ => Ok(u64::from(start)..end),
    }
}

impl Ranges {
    fn add(&mut self, rule: &str, start: u32, count: u32, to: Target) -> Result_<()> {
        let from = range(rule, start, count)?;
        let place = self.0.partition_point(|other| other.from.end <= from.start);
        if self.0.get(place).is_some_and(|next| next.from.start < from.end) {
            return Err(IdMapError::Overlap(rule.to_owned()));
        }
        self.0.insert(place, Rule { from, to });
        Ok(())
    }

    /// `None` if the number is forbidden.
    fn translate(&self, id: u32) -> Option<u32> {
        let id_ = u64::from(id);
        let place = self.0.partition_point(|rule| rule.from.end <= id_);
        match self.0.get(place) {
            Some(rule) if rule.from.contains(&id_) => match rule.to {
                Target::Each(first) => {
                    u32::try_from(u64::from(first) + (id_ - rule.from.start)).ok()
                }
                Target::One(one) => Some(one),
                Target::Forbidden => None,
            },
            _ => Some(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rules: &[&str]) -> IdMap {
        IdMap::parse(rules).unwrap()
    }

    fn refusal(rules: &[&str]) -> String {
        IdMap::parse(rules).unwrap_err().to_string()
    }

    #[test]
    fn numbers_without_a_rule_stay_as_they_are() {
        let map = map(&["guest:1000:2000:10"]);
        assert_eq!(map.to_host(999), Ok(999));
        assert_eq!(map.to_host(1010), Ok(1010));
        assert_eq!(map.to_host(u32::MAX), Ok(u32::MAX));
        assert_eq!(map.to_client(2000), 2000);
        assert!(!map.is_identity());
        assert!(IdMap::default().is_identity());
    }

    #[test]
    fn each_way_has_rules_of_its_own() {
        let one = map(&["guest:1000:2000:10", "host:2000:500:3"]);
        assert_eq!(one.to_host(1009), Ok(2009));
        assert_eq!((one.to_client(2000), one.to_client(2002)), (500, 502));
        assert_eq!(one.to_client(2003), 2003);
    }

    #[test]
    fn map_is_both_ways() {
        let map = map(&["map:0:100000:65536"]);
        assert_eq!(map.to_host(0), Ok(100_000));
        assert_eq!(map.to_client(165_535), 65_535);
        assert_eq!(map.to_client(165_536), 165_536);
    }

    #[test]
    fn squashed_numbers_become_one() {
        let map = map(&["squash-guest:0:107:4294967295", "squash-host:5:0:2"]);
        assert_eq!(map.to_host(0), Ok(107));
        assert_eq!(map.to_host(4_294_967_294), Ok(107));
        assert_eq!((map.to_client(5), map.to_client(6), map.to_client(7)), (0, 0, 7));
    }

    #[test]
    fn forbidden_number_is_refused() {
        let map = map(&["forbid-guest:10:5", "guest:0:100:10"]);
        assert_eq!(map.to_host(9), Ok(109));
        assert_eq!(map.to_host(10), Err(Failure::EPERM));
        assert_eq!(map.to_host(14), Err(Failure::EPERM));
        assert_eq!(map.to_host(15), Ok(15));
        assert_eq!(map.to_client(10), 10);
    }

    #[test]
    fn all_numbers_can_be_said() {
        let map = map(&["map:4294967295:0:1", "map:0:1:4294967295"]);
        assert_eq!(map.to_host(u32::MAX), Ok(0));
        assert_eq!(map.to_host(u32::MAX - 1), Ok(u32::MAX));
    }

    #[test]
    fn rules_about_the_same_number_are_refused() {
        for rules in [["guest:0:5:10", "squash-guest:9:1:1"], ["guest:5:0:5", "guest:0:10:6"]] {
            let error = refusal(&rules);
            let last = rules[1];
            assert_eq!(
                error,
                format!("{last:?}: an earlier rule is about some of these numbers, too")
            );
        }
        assert!(IdMap::parse(["guest:0:5:10", "host:0:5:10"]).is_ok());
    }

    #[test]
    fn rules_that_make_no_sense_are_refused() {
        for (rule, error) in [
            ("0:1000:1", "\"0:1000:1\": there is no \"0\", only guest, host, map, squash-guest"),
            ("guest", "\"guest\": not TYPE:SOURCE:TARGET:COUNT, or forbid-guest:SOURCE:COUNT"),
            ("guest:1:2", "\"guest:1:2\": not TYPE:SOURCE:TARGET:COUNT"),
            ("forbid-guest:1:2:3", "\"forbid-guest:1:2:3\": not TYPE:SOURCE:TARGET:COUNT"),
            ("map:1:+2:3", "\"map:1:+2:3\": \"+2\" is not a number from 0 to 4294967295"),
            ("map:1:4294967296:3", "\"map:1:4294967296:3\": \"4294967296\" is not a number"),
            ("map:1:2:0", "\"map:1:2:0\": the range is empty"),
            ("map:2:0:4294967295", "\"map:2:0:4294967295\": the range ends beyond 4294967295"),
            ("map:0:2:4294967295", "\"map:0:2:4294967295\": the range ends beyond 4294967295"),
        ] {
            let said = refusal(&[rule]);
            assert!(said.starts_with(error), "{said}");
        }
    }
}

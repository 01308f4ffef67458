// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Every dependency's licence is one that deny.toml allows: the rule of cargo-deny, applied here
//! as well because that program is not on every machine.

use super::Finding;
use crate::cargo::{Package, Workspace};

pub(super) fn check(workspace: &Workspace, deny: &str) -> Vec<Finding> {
    let outside = workspace.packages.iter().filter(|package| !package.member);
    let refusals = outside.filter_map(|package| refusal(package, deny));
    refusals.map(|text| Finding::new("deny.toml", 1, text)).collect()
}

fn refusal(package: &Package, deny: &str) -> Option<String> {
    let Package { name, version, licence, .. } = package;
    let Some(licence) = licence else {
        return Some(format!("{name} {version} says no licence"));
    };
    let allowed = allowed(deny, name);
    let fits = Expression::parse(licence).is_some_and(|expression| expression.fits(&allowed));
    (!fits).then(|| format!("{name} {version}: the licence `{licence}` is not allowed"))
}

/// The licences that the section `[licenses]` of deny.toml allows to all, and to this package.
fn allowed<'a>(deny: &'a str, package: &str) -> Vec<&'a str> {
    let section = deny.split("\n[licenses]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let lines = section.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let mut allowed = Vec::new();
    for line in lines {
        // An exception is a table on a line, a licence for all is a text on a line.
        if line.starts_with('{') {
            let strings: Vec<_> = strings(line).collect();
            if strings.contains(&package) {
                allowed.extend(strings);
            }
        } else if line.starts_with('"') {
            allowed.extend(strings(line));
        }
    }
    allowed
}

/// The texts in quotation marks in a line.
fn strings(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2)
}

/// A licence expression (SPDX 2.3, annex D).
#[derive(Debug)]
enum Expression<'a> {
    /// A licence, its exception included.
    One(&'a str),
    And(Vec<Self>),
    Or(Vec<Self>),
}

impl<'a> Expression<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut words = words(text);
        let expression = Self::parse_or(&mut words)?;
        words.is_empty().then_some(expression)
    }

    fn parse_or(words: &mut Vec<&'a str>) -> Option<Self> {
        let mut parts = vec![Self::parse_and(words)?];
        // Before there were expressions, `MIT/Apache-2.0` was written.
        while words.last().is_some_and(|word| ["OR", "/"].contains(word)) {
            words.pop();
            parts.push(Self::parse_and(words)?);
        }
        Some(Self::Or(parts))
    }

    fn parse_and(words: &mut Vec<&'a str>) -> Option<Self> {
        let mut parts = vec![Self::parse_one(words)?];
        while words.last() == Some(&"AND") {
            words.pop();
            parts.push(Self::parse_one(words)?);
        }
        Some(Self::And(parts))
    }

    fn parse_one(words: &mut Vec<&'a str>) -> Option<Self> {
        match words.pop()? {
            "(" => {
                let inner = Self::parse_or(words)?;
                (words.pop()? == ")").then_some(inner)
            }
            "AND" | "OR" | "/" | ")" => None,
            one => Some(Self::One(one)),
        }
    }

    fn fits(&self, allowed: &[&str]) -> bool {
        match self {
            Self::One(licence) => allowed.contains(licence),
            Self::And(parts) => parts.iter().all(|part| part.fits(allowed)),
            Self::Or(parts) => parts.iter().any(|part| part.fits(allowed)),
        }
    }
}

/// The words of an expression, the last one first; `X WITH Y` is one.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = match rest.find(|char: char| "()/ ".contains(char)) {
            Some(0) => 1,
            Some(end) if rest[end..].starts_with(" WITH ") => {
                let exception = end + " WITH ".len();
                let length = rest[exception..].find(|char: char| "()/ ".contains(char));
                length.map_or(rest.len(), |length| exception + length)
            }
            end => end.unwrap_or(rest.len()),
        };
        words.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    words.reverse();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = "\
[advisories]
ignore = [\"GPL-3.0\"]

[licenses]
allow = [
    \"Apache-2.0\",
    # \"GPL-2.0\",
    \"Apache-2.0 WITH LLVM-exception\",
    \"MIT\",
]
exceptions = [
    { crate = \"epoll\", allow = [\"MPL-2.0\"] },
]

[bans]
";

    fn of(name: &str, licence: &str) -> Option<String> {
        let (name, version, licence) = (name.into(), "1.0.0".into(), Some(licence.into()));
        refusal(&Package { name, version, licence, ..Package::default() }, DENY)
    }

    #[test]
    fn licence_on_the_list_is_let_pass() {
        for licence in [
            "MIT",
            "GPL-3.0 OR MIT",
            "MIT/GPL-3.0",
            "(GPL-3.0 OR MIT) AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception",
            "GPL-2.0 OR Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        ] {
            assert_eq!(of("a", licence), None, "{licence}");
        }
    }

    #[test]
    fn licence_not_on_the_list_is_refused() {
        for licence in ["GPL-3.0", "GPL-2.0", "MIT AND GPL-3.0", "MIT WITH GPL-3.0", "MIT OR", "("]
        {
            let refusal = format!("a 1.0.0: the licence `{licence}` is not allowed");
            assert_eq!(of("a", licence), Some(refusal));
        }
    }

    #[test]
    fn exception_holds_for_its_package_alone() {
        assert_eq!(of("epoll", "MPL-2.0"), None);
        assert!(of("poll", "MPL-2.0").is_some());
    }

    #[test]
    fn package_without_a_licence_is_refused() {
        let (name, version) = ("a".to_owned(), "1.0.0".to_owned());
        let package = Package { name, version, ..Package::default() };
        assert_eq!(refusal(&package, DENY).unwrap(), "a 1.0.0 says no licence");
    }
}

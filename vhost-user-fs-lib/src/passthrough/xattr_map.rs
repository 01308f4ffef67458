// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Names of extended attributes: the client's in those of the host, and back.
//!
//! A mapping is a list of rules; the first one that is about a name decides. What none is about is
//! refused, and hidden.

use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::str::FromStr;

use crate::filesystem::{Failure, Result};

/// Rules for names. There are none by default, and then names stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XattrMap(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    effect: Effect,
    scope: Scope,
    /// What the client's name begins with.
    key: Vec<u8>,
    /// What the host's name begins with.
    prepend: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// `prepend` is put before the client's name, and taken from the host's.
    Prefix,
    /// The name stays as it is.
    Pass,
    /// There is no such name: EPERM.
    Deny,
    /// There is no such name: ENOTSUP.
    Unsupported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Client,
    Server,
    All,
}

/// A mapping that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XattrMapError {
    /// There is no rule in it.
    #[error("there is no rule")]
    Nothing,
    /// A rule without an end.
    #[error(
        "rule {0}: not SEPARATOR, TYPE, SCOPE, KEY and PREPEND with that separator behind each"
    )]
    Form(usize),
    /// An unknown type.
    #[error("rule {rule}: there is no {kind:?}, only prefix, ok, bad, unsupported and map")]
    Kind {
        /// Which rule, from 1 on.
        rule: usize,
        /// The type.
        kind: String,
    },
    /// An unknown scope.
    #[error("rule {rule}: there is no {scope:?}, only client, server and all")]
    Scope {
        /// Which rule, from 1 on.
        rule: usize,
        /// The scope.
        scope: String,
    },
    /// A rule behind `map`.
    #[error("rule {0}: a rule of the type map is the last one")]
    BehindMap(usize),
    /// A NUL in it.
    #[error("rule {0}: it has a NUL")]
    Nul(usize),
}

impl XattrMap {
    /// Whether names may become other ones.
    pub fn is_identity(&self) -> bool {
        self.0.is_empty()
    }

    /// The host's name for one of the client's.
    ///
    /// # Errors
    /// EPERM or EOPNOTSUPP, as a rule says; EPERM if none says anything; ERANGE if the name becomes too
    /// long.
    pub fn to_host<'n>(&self, name: &'n CStr) -> Result<Cow<'n, CStr>> {
        if self.is_identity() {
            return Ok(Cow::Borrowed(name));
        }
        let bytes = name.to_bytes();
        let rule = self.0.iter().find(|rule| rule.is_for_clients() && bytes.starts_with(&rule.key));
        match rule.map_or(Effect::Deny, |rule| rule.effect) {
            Effect::Pass => Ok(Cow::Borrowed(name)),
            Effect::Deny => Err(Failure::EPERM),
            Effect::Unsupported => Err(Failure::EOPNOTSUPP),
            Effect::Prefix => {
                let prepend = rule.map_or(&[][..], |rule| &rule.prepend);
                if prepend.len() + bytes.len() > LONGEST {
                    return Err(Failure::ERANGE);
                }
                let name = CString::new([prepend, bytes].concat());
                Ok(Cow::Owned(name.map_err(|_| Failure::EINVAL)?))
            }
        }
    }

    /// The client's name for one of the host's; `None` if it is hidden.
    pub fn to_client<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        if self.is_identity() {
            return Some(name);
        }
        let is_about = |rule: &&Rule| rule.is_for_the_server() && name.starts_with(&rule.prepend);
        let rule = self.0.iter().find(is_about)?;
        match rule.effect {
            Effect::Pass => Some(name),
            Effect::Deny | Effect::Unsupported => None,
            Effect::Prefix => name.get(rule.prepend.len()..).filter(|name| !name.is_empty()),
        }
    }
}

/// The longest name in bytes (`XATTR_NAME_MAX`), without its NUL.
const LONGEST: usize = 255;

impl Rule {
    fn new(effect: Effect, scope: Scope, key: &[u8], prepend: &[u8]) -> Self {
        Self { effect, scope, key: key.to_owned(), prepend: prepend.to_owned() }
    }

    fn is_for_clients(&self) -> bool {
        matches!(self.scope, Scope::Client | Scope::All)
    }

    fn is_for_the_server(&self) -> bool {
        matches!(self.scope, Scope::Server | Scope::All)
    }

    /// What `map` is short for.
    fn mapping(key: &[u8], prepend: &[u8]) -> Vec<Self> {
        let mut rules = vec![Self::new(Effect::Prefix, Scope::All, key, prepend)];
        if key.is_empty() {
            rules.push(Self::new(Effect::Deny, Scope::All, b"", b""));
        } else {
            // What is mapped cannot be had by its name on the host, nor a host's by the client's name.
            rules.push(Self::new(Effect::Deny, Scope::Server, b"", key));
            rules.push(Self::new(Effect::Deny, Scope::Client, prepend, b""));
            rules.push(Self::new(Effect::Pass, Scope::All, b"", b""));
        }
        rules
    }
}

impl FromStr for XattrMap {
    type Err = XattrMapError;

    fn from_str(text: &str) -> std::result::Result<Self, XattrMapError> {
        let mut rules = Vec::new();
        let mut text = text.trim_start();
        let mut number = 0;
        let mut mapped = false;
        while let Some(separator) = text.chars().next() {
            number += 1;
            if mapped {
                return Err(XattrMapError::BehindMap(number));
            }
            let mut fields = Fields { text: &text[separator.len_utf8()..], separator, number };
            let kind = fields.next()?;
            if kind == "map" {
                let (key, prepend) = (fields.next()?, fields.next()?);
                rules.extend(Rule::mapping(key.as_bytes(), prepend.as_bytes()));
                mapped = true;
            } else {
                let effect = effect(number, kind)?;
                let scope = scope(number, fields.next()?)?;
                let (key, prepend) = (fields.next()?, fields.next()?);
                rules.push(Rule::new(effect, scope, key.as_bytes(), prepend.as_bytes()));
            }
            text = fields.text.trim_start();
        }
        if rules.is_empty() {
            return Err(XattrMapError::Nothing);
        }
        Ok(Self(rules))
    }
}

/// The fields of a rule, each with the separator behind it.
struct Fields<'t> {
    text: &'t str,
    separator: char,
    number: usize,
}

impl<'t> Fields<'t> {
    fn next(&mut self) -> std::result::Result<&'t str, XattrMapError> {
        let (field, rest) =
            self.text.split_once(self.separator).ok_or(XattrMapError::Form(self.number))?;
        if field.contains('\0') {
            return Err(XattrMapError::Nul(self.number));
        }
        self.text = rest;
        Ok(field)
    }
}

fn effect(rule: usize, kind: &str) -> std::result::Result<Effect, XattrMapError> {
    match kind {
        "prefix" => Ok(Effect::Prefix),
        "ok" => Ok(Effect::Pass),
        "bad" => Ok(Effect::Deny),
        "unsupported" => Ok(Effect::Unsupported),
        _ => Err(XattrMapError::Kind { rule, kind: kind.to_owned() }),
    }
}

fn scope(rule: usize, scope: &str) -> std::result::Result<Scope, XattrMapError> {
    match scope {
        "client" => Ok(Scope::Client),
        "server" => Ok(Scope::Server),
        "all" => Ok(Scope::All),
        _ => Err(XattrMapError::Scope { rule, scope: scope.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> XattrMap {
        text.parse().unwrap()
    }

    fn host<'n>(map: &XattrMap, name: &'n CStr) -> Result<Cow<'n, CStr>> {
        map.to_host(name)
    }

    #[test]
    fn names_without_rules_stay_as_they_are() {
        let map = XattrMap::default();
        assert_eq!(host(&map, c"user.a"), Ok(c"user.a".into()));
        assert_eq!(map.to_client(b"trusted.a"), Some(&b"trusted.a"[..]));
    }

    #[test]
    fn map_of_all_prefixes_all_and_hides_the_rest() {
        for text in [":map::user.virtiofs.:", ":prefix:all::user.virtiofs.::bad:all:::"] {
            let map = map(text);
            let name = c"user.virtiofs.trusted.a";
            assert_eq!(host(&map, c"trusted.a"), Ok(name.into()), "{text}");
            assert_eq!(map.to_client(name.to_bytes()), Some(&b"trusted.a"[..]));
            assert_eq!(map.to_client(b"security.selinux"), None);
            assert_eq!(map.to_client(b"user.virtiofs."), None);
        }
    }

    #[test]
    fn map_of_some_prefixes_them_and_protects_their_place() {
        for text in [
            "/map/trusted./user.virtiofs./",
            "/prefix/all/trusted./user.virtiofs./\n  /bad/server//trusted./\n\
             /bad/client/user.virtiofs.//\n/ok/all///\n",
        ] {
            let map = map(text);
            let name = c"user.virtiofs.trusted.a";
            assert_eq!(host(&map, c"trusted.a"), Ok(name.into()), "{text}");
            assert_eq!(host(&map, name), Err(Failure::EPERM));
            assert_eq!(host(&map, c"user.a"), Ok(c"user.a".into()));
            assert_eq!(map.to_client(name.to_bytes()), Some(&b"trusted.a"[..]));
            assert_eq!(map.to_client(b"trusted.b"), None);
            assert_eq!(map.to_client(b"user.b"), Some(&b"user.b"[..]));
        }
    }

    #[test]
    fn name_without_a_rule_among_rules_is_refused_and_hidden() {
        let map = map(":ok:all:user.:user.:");
        assert_eq!(host(&map, c"trusted.a"), Err(Failure::EPERM));
        assert_eq!(map.to_client(b"trusted.a"), None);
    }

    #[test]
    fn unsupported_name_is_said_to_be() {
        let map = map(":unsupported:all:security.:security.::ok:all:::");
        assert_eq!(host(&map, c"security.selinux"), Err(Failure::EOPNOTSUPP));
        assert_eq!(map.to_client(b"security.selinux"), None);
        assert_eq!(host(&map, c"user.a"), Ok(c"user.a".into()));
    }

    #[test]
    fn name_that_becomes_too_long_is_refused() {
        let map = map(":map::user.virtiofs.:");
        let long = CString::new("n".repeat(250)).unwrap();
        assert_eq!(host(&map, &long), Err(Failure::ERANGE));
    }

    #[test]
    fn mappings_that_are_none_are_refused() {
        for (text, error) in [
            ("", "there is no rule"),
            (" \n", "there is no rule"),
            (":ok:all::", "rule 1: not SEPARATOR, TYPE, SCOPE, KEY and PREPEND"),
            (":good:all:::", "rule 1: there is no \"good\", only prefix, ok, bad, unsupported"),
            (":ok:all:::/ok/each///", "rule 2: there is no \"each\", only client, server and all"),
            (":map:::ok:all:::", "rule 2: a rule of the type map is the last one"),
            (":ok:all:\0::", "rule 1: it has a NUL"),
        ] {
            let said = text.parse::<XattrMap>().unwrap_err().to_string();
            assert!(said.starts_with(error), "{text:?}: {said}");
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The command line: what is to be done, and `name=value` for each thing that matters to it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

/// What was said, each name with its value.
#[derive(Debug)]
pub(super) struct Said(BTreeMap<String, String>);

impl Said {
    /// From the words behind the first.
    ///
    /// # Panics
    /// When one is not `name=value`, or a name comes twice.
    pub(super) fn new(words: impl IntoIterator<Item = String>) -> Self {
        let mut said = BTreeMap::new();
        for word in words {
            let (name, value) = word.split_once('=').expect("name=value");
            let before = said.insert(name.to_owned(), value.to_owned());
            assert_eq!(before, None, "{name} is said twice");
        }
        Self(said)
    }

    /// The number of that name, or `otherwise`.
    ///
    /// # Panics
    /// When it is none.
    pub(super) fn number<T: FromStr>(&mut self, name: &str, otherwise: T) -> T {
        let Some(value) = self.0.remove(name) else { return otherwise };
        value.parse().unwrap_or_else(|_| panic!("{name}={value}: no such number"))
    }

    /// Whether the value is `yes`, one of two.
    ///
    /// # Panics
    /// When it is neither.
    pub(super) fn is(&mut self, name: &str, [no, yes]: [&str; 2]) -> bool {
        match self.0.remove(name).as_deref() {
            None => false,
            Some(value) if value == no => false,
            Some(value) if value == yes => true,
            Some(value) => panic!("{name}={value}: it is {no} or {yes}"),
        }
    }

    /// The path of that name.
    pub(super) fn path(&mut self, name: &str) -> Option<PathBuf> {
        self.0.remove(name).map(PathBuf::from)
    }

    /// Ends the list.
    ///
    /// # Panics
    /// When a name was said that nobody asked for.
    pub(super) fn end(self) {
        assert!(self.0.is_empty(), "not for this: {:?}", self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[&str]) -> Said {
        Said::new(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn values_are_found_by_name_and_others_have_their_default() {
        let mut said = said(&["depth=32", "work=write", "file=/a=b"]);
        assert_eq!(said.number("depth", 1u16), 32);
        assert_eq!(said.number("queues", 1u8), 1);
        assert!(said.is("work", ["read", "write"]));
        assert!(!said.is("order", ["random", "sequential"]));
        assert_eq!(said.path("file"), Some(PathBuf::from("/a=b")));
        said.end();
    }

    #[test]
    #[should_panic = "not for this"]
    fn name_that_nobody_asks_for_is_refused() {
        said(&["dept=32"]).end();
    }

    #[test]
    #[should_panic = "it is read or write"]
    fn value_that_is_neither_is_refused() {
        said(&["work=trim"]).is("work", ["read", "write"]);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Which edges of the program were taken: an instrumented daemon counts them in a file that it shares
//! with us.

use std::fs;
use std::io;

use tempfile::NamedTempFile;

/// Where an instrumented daemon reads the path of the file.
const VARIABLE: &str = "VHOST_USER_FUZZ_COUNTERS";

/// What is before the pages with the counters: the offset of the first one, and their number.
const HEAD: usize = 4096;

/// What the lives so far have taken.
#[derive(Debug)]
pub(super) struct Coverage {
    file: Option<NamedTempFile>,
    /// For each edge whether it was taken. How often says more of the threads than of the script.
    seen: Vec<bool>,
}

impl Coverage {
    pub(super) fn new() -> Self {
        Self { file: NamedTempFile::with_prefix("counters-").ok(), seen: Vec::new() }
    }

    /// What the daemon is to be told.
    pub(super) fn environment(&self) -> Option<(String, String)> {
        let path = self.file.as_ref()?.path().display().to_string();
        Some((VARIABLE.to_owned(), path))
    }

    /// Looks at what was taken since the last time; whether that is more than ever before.
    pub(super) fn look(&mut self) -> bool {
        self.try_to_look().unwrap_or(false)
    }

    fn try_to_look(&mut self) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(false) };
        let bytes = fs::read(file.path())?;
        // A daemon that is not instrumented leaves it empty.
        let counters = counters(&bytes).unwrap_or_default();
        self.seen.resize(counters.len(), false);
        let mut more = false;
        for (seen, counter) in self.seen.iter_mut().zip(counters) {
            more |= *counter > 0 && !*seen;
            *seen |= *counter > 0;
        }
        Ok(more)
    }

    /// How many edges were taken so far, and how many there are.
    pub(super) fn edges(&self) -> (usize, usize) {
        (self.seen.iter().filter(|seen| **seen).count(), self.seen.len())
    }
}

fn counters(bytes: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| {
        let word = usize::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?);
        (word < bytes.len()).then_some(word)
    };
    bytes.get(HEAD + word(0)?..)?.get(..word(8)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_that_is_taken_for_the_first_time_is_news() {
        let mut coverage = Coverage::new();
        let path = coverage.environment().unwrap().1;
        let mut look = |counters: &[u8]| {
            let mut bytes = vec![0; HEAD + 7];
            bytes[0] = 7;
            bytes[8] = 3;
            bytes.extend(counters);
            bytes.push(255);
            fs::write(&path, bytes).unwrap();
            coverage.look()
        };
        assert!(!look(&[0, 0, 0]));
        assert!(look(&[0, 1, 0]));
        assert!(!look(&[0, 200, 0]));
        assert!(look(&[0, 3, 1]));
        assert_eq!(coverage.edges(), (2, 3));
    }
}

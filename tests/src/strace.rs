// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The system calls of a daemon in their order, as strace writes them down.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::requires;

/// A daemon is started under it: [`Launch::under`](crate::daemon::Launch::under).
#[derive(Debug)]
pub struct Strace {
    folder: TempDir,
    calls: String,
    injected: Vec<String>,
}

/// A system call that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traced {
    /// Its name.
    pub name: String,
    /// Its arguments as strace writes them.
    pub arguments: String,
    /// Its result as strace writes it: a number, or `-1 EIO (...)`.
    pub result: String,
    /// When it began and when it ended: numbers that only their order says something about.
    pub began: usize,
    /// See `began`.
    pub ended: usize,
}

impl Strace {
    /// Of these system calls, separated by commas. `None` if that can't be had, which is said on
    /// standard error.
    ///
    /// # Panics
    /// If it can't be had where nothing may be missing: when the environment has `CI`.
    pub fn of(calls: &str) -> Option<Self> {
        static WORKS: OnceLock<bool> = OnceLock::new();
        let works = *WORKS.get_or_init(|| {
            let traced = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
            traced.is_ok_and(|output| output.status.success())
        });
        requires::met(works, "strace, and to be allowed to trace").then(|| Self {
            folder: TempDir::with_prefix("strace-").expect("make a folder for strace"),
            calls: calls.to_owned(),
            injected: Vec::new(),
        })
    }

    /// Has some calls fail or take long: what strace's option `--inject` takes.
    pub fn inject(mut self, what: &str) -> Self {
        self.injected.push(format!("--inject={what}"));
        self
    }

    /// The beginning of the command line, before the program.
    pub fn wrapper(&self) -> Vec<OsString> {
        // As a grandchild of the program, so that this keeps its number.
        let options = ["strace", "-D", "-f", "-qq", "-o"].map(OsString::from);
        let mut words = options.to_vec();
        words.push(self.file().into());
        words.push(format!("--trace={}", self.calls).into());
        words.extend(self.injected.iter().map(OsString::from));
        words
    }

    /// The calls that have ended so far, in the order of their beginning. What the daemon did
    /// before it was seen doing something else is there.
    pub fn calls(&self) -> Vec<Traced> {
        parse(&fs::read_to_string(self.file()).unwrap_or_default())
    }

    /// Those of the name `name`.
    pub fn calls_of(&self, name: &str) -> Vec<Traced> {
        self.calls().into_iter().filter(|call| call.name == name).collect()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("calls")
    }
}

/// Reads lines such as these; the last one may not be whole yet:
///
/// ```text
/// 12 fdatasync(5 <unfinished ...>
/// 13 pwritev2(6, [{iov_base=""..., iov_len=512}], 1, 0, RWF_DSYNC) = 512
/// 12 <... fdatasync resumed>)             = 0
/// ```
fn parse(text: &str) -> Vec<Traced> {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let mut ended: Vec<Traced> = Vec::new();
    let mut unfinished: Vec<(&str, usize, &str)> = Vec::new();
    for (number, line) in whole.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.push((thread, number, begun));
        } else if let Some((_, rest)) = rest.split_once(" resumed>") {
            let at = unfinished.iter().position(|(other, ..)| *other == thread);
            let Some(at) = at else { continue };
            let (_, began, begun) = unfinished.remove(at);
            ended.extend(call(&format!("{begun}{rest}"), began, number));
        } else {
            ended.extend(call(rest, number, number));
        }
    }
    ended.sort_by_key(|call| call.began);
    ended
}

fn call(text: &str, began: usize, ended: usize) -> Option<Traced> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    let [name, arguments, result] = [name, arguments, result.trim()].map(str::to_owned);
    Some(Traced { name, arguments, result, began, ended })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_two_threads_are_put_together() {
        let text = "12 fdatasync(5 <unfinished ...>\n\
            13 pwritev2(6, [{iov_base=\"(\"..., iov_len=512}], 1, 0, RWF_DSYNC) = 512\n\
            12 <... fdatasync resumed>)             = -1 EIO (Input/output error) (INJECTED)\n\
            13 fdatasync(6)   = 0\n\
            13 fdatasync(7) ";
        let calls = parse(text);
        let brief: Vec<_> =
            calls.iter().map(|call| (&*call.name, call.began, call.ended)).collect();
        assert_eq!(brief, [("fdatasync", 0, 2), ("pwritev2", 1, 1), ("fdatasync", 3, 3)]);
        assert_eq!(calls[0].result, "-1 EIO (Input/output error) (INJECTED)");
        assert!(calls[1].arguments.ends_with("1, 0, RWF_DSYNC"), "{calls:?}");
    }

    #[test]
    fn line_that_is_not_whole_is_left_for_later() {
        assert_eq!(parse("12 fdatasync(5) = 0").len(), 0);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The load generator: what it is asked, and what it says.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::outcome::Run;
use super::pin::Pin;
use super::scenario::Load;
use crate::command::{self, Ending};

/// How long it may take beyond what it was told.
const PATIENCE: Duration = Duration::from_secs(120);

/// The load generator, to be run in a folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Generator<'a> {
    pub(super) program: &'a Path,
    pub(super) folder: &'a Path,
    pub(super) pin: Option<&'a Pin>,
}

impl Generator<'_> {
    /// Has it do something for `seconds` or as long as it takes; what it found.
    ///
    /// # Errors
    /// It can't be started, or gives up: the daemon did something else than it was asked for, or a
    /// byte is not the one that it should be.
    pub(super) fn ask(self, words: &[String], seconds: f64) -> Result<Value> {
        let mut command = Command::new(self.program);
        command.args(words);
        if let Some(pin) = self.pin {
            command = pin.driver(&command);
        }
        command.current_dir(self.folder).stdin(Stdio::null());
        command.env("RUST_BACKTRACE", "0");
        let watched = command::watch(command, Duration::from_secs_f64(seconds) + PATIENCE)?;
        let output = watched.output.trim();
        let fine = matches!(&watched.ending, Ending::Exit(status) if status.success());
        ensure!(fine, "bench-blk {}: {:?}: {output}", words.join(" "), watched.ending);
        serde_json::from_str(output).with_context(|| format!("the word of bench-blk: {output}"))
    }
}

impl Load {
    /// How the load generator is told to put it on whoever listens on `socket`.
    pub(super) fn words(self, socket: &str) -> Vec<String> {
        let Self { queues, depth, block, writes, sleeps, misalign } = self;
        let mut words = vec!["drive".to_owned(), format!("socket={socket}")];
        words.push(format!("queues={queues}"));
        words.extend([format!("depth={depth}"), format!("block={block}")]);
        words.push(format!("work={}", if writes { "write" } else { "read" }));
        words.push(format!("waits={}", if sleeps { "sleeping" } else { "polling" }));
        words.push(format!("misalign={misalign}"));
        words
    }
}

/// The run that the load generator reports.
pub(super) fn run(said: &Value) -> Option<Run> {
    let number = |name: &str| said[name].as_f64();
    let (requests, seconds) = (number("requests")?, number("seconds")?);
    let memory = number("rss_anon_kib")? + number("rss_file_kib")?;
    Some(Run {
        rate: requests / seconds,
        cpu: Some(number("cpu")? / requests * 1e6),
        memory: (memory > 0.0).then_some(memory / 1024.0),
        fetched: said["fetched"].as_u64()?,
        checked: said["checked"].as_u64()? + said["checked_after"].as_u64().unwrap_or(0),
    })
}

/// Requests per second, of whatever the load generator reports.
pub(super) fn rate(said: &Value) -> Option<f64> {
    Some(said["requests"].as_f64()? / said["seconds"].as_f64()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::blk::scenario::SCENARIOS;

    #[test]
    fn report_becomes_a_run() {
        let said = serde_json::json!({
            "requests": 2_000_000, "seconds": 2.0, "checked": 10, "checked_after": 5, "cpu": 3.0,
            "fetched": 4096, "rss_anon_kib": 1024, "rss_file_kib": 2048, "kicks": 1,
        });
        let run = run(&said).unwrap();
        assert_eq!((run.rate, run.cpu, run.memory), (1e6, Some(1.5), Some(3.0)));
        assert_eq!((run.fetched, run.checked), (4096, 15));
        assert!(super::run(&serde_json::json!({ "requests": 1 })).is_none());
    }

    #[test]
    fn load_is_said_in_words() {
        let words = SCENARIOS[2].load.words("s").join(" ");
        let wanted =
            "drive socket=s queues=1 depth=1 block=4096 work=read waits=sleeping misalign=0";
        assert_eq!(words, wanted);
    }
}

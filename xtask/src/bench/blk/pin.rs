// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Who runs on which CPUs, if it is not left to the scheduler.

use std::process::Command;
use std::thread;

use anyhow::{Result, ensure};

/// The driver has the first CPU for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pin {
    others: String,
}

impl Pin {
    /// # Errors
    /// There is one CPU only.
    pub(super) fn new() -> Result<Self> {
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        ensure!(cpus > 1, "there is one CPU, and two have to share it");
        Ok(Self { others: format!("1-{}", cpus - 1) })
    }

    /// The same command, on the first CPU.
    pub(super) fn driver(&self, command: &Command) -> Command {
        on("0", command)
    }

    /// The same command, on the other CPUs.
    pub(super) fn driven(&self, command: &Command) -> Command {
        on(&self.others, command)
    }
}

fn on(cpus: &str, command: &Command) -> Command {
    // It becomes the program, and so keeps its number.
    let mut pinned = Command::new("taskset");
    pinned.args(["--cpu-list", cpus]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => pinned.env(name, value),
            None => pinned.env_remove(name),
        };
    }
    pinned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_keeps_its_arguments_and_its_environment() {
        let mut command = Command::new("daemon");
        command.args(["-a", "b c"]).env("LD_LIBRARY_PATH", "/l");
        let pinned = Pin { others: "1-3".to_owned() }.driven(&command);
        assert_eq!(pinned.get_program(), "taskset");
        let words: Vec<_> = pinned.get_args().collect();
        assert_eq!(words, ["--cpu-list", "1-3", "daemon", "-a", "b c"]);
        assert_eq!(pinned.get_envs().count(), 1);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The threads of a daemon, as the kernel describes them.

use std::fs;

use super::running::Process;

/// A thread, at the time when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its name.
    pub name: String,
    /// The CPUs that it may run on, such as `0-3,8`.
    pub cpus: String,
    /// How often it was taken from a CPU, or left one.
    pub switches: u64,
}

impl Process {
    /// All its threads, in the order of their names.
    pub fn threads(&self) -> Vec<Thread> {
        let folder = format!("/proc/{}/task", self.pid());
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("list {folder}: {e}"));
        // One that ends meanwhile is none.
        let texts =
            entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("status")).ok());
        let mut threads: Vec<Thread> = texts.map(|text| Thread::of(&text)).collect();
        threads.sort_by(|a, b| a.name.cmp(&b.name));
        threads
    }

    /// The thread of this name.
    #[track_caller]
    pub fn thread_named(&self, name: &str) -> Thread {
        let threads = self.threads();
        let found = threads.iter().find(|thread| thread.name == name).cloned();
        found.unwrap_or_else(|| panic!("no thread {name} among {threads:?}"))
    }
}

impl Thread {
    fn of(status: &str) -> Self {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_else(|| panic!("{name} in the status of a thread")).trim()
        };
        let number = |name| field(name).parse::<u64>().expect("a number of switches");
        Self {
            name: field("Name").to_owned(),
            cpus: field("Cpus_allowed_list").to_owned(),
            switches: number("voluntary_ctxt_switches") + number("nonvoluntary_ctxt_switches"),
        }
    }
}

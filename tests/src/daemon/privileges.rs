// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the threads of a daemon may do, as the kernel tells it.

use std::fs;

use super::running::Process;

/// What a thread may do, and what it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privileges {
    /// Whether a filter looks at its system calls.
    pub filtered: bool,
    /// Whether a program that it runs can give it more.
    pub may_gain: bool,
    /// The capabilities that it has or passes on, a bit for each.
    pub capabilities: u64,
    /// Those that the programs could have that it runs: the bounding set.
    pub bounding: u64,
}

impl Privileges {
    /// None, and its system calls looked at.
    pub const NONE: Self = Self { filtered: true, may_gain: false, capabilities: 0, bounding: 0 };

    /// The capability by which root reaches into folders of others: CAP_DAC_OVERRIDE.
    pub const OVERRIDE: u64 = 1 << 1;

    /// As the status of a thread says; `None` if that has ended.
    fn of(status: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_else(|| panic!("{name} in the status of a thread")).trim()
        };
        if field("State").starts_with(['Z', 'X']) {
            return None;
        }
        let set =
            |name: &&str| u64::from_str_radix(field(name), 16).expect("a set of capabilities");
        let sets = ["CapInh", "CapPrm", "CapEff", "CapAmb"];
        Some(Self {
            filtered: field("Seccomp") == "2",
            may_gain: field("NoNewPrivs") == "0",
            capabilities: sets.iter().map(set).fold(0, |all, set| all | set),
            bounding: set(&"CapBnd"),
        })
    }
}

impl Process {
    /// What each of its threads may do, by its name.
    pub fn privileges(&self) -> Vec<(String, Privileges)> {
        let folder = self.place("task");
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("list its threads: {e}"));
        let threads = entries.filter_map(|entry| {
            let thread = entry.ok()?.path();
            // One that ends meanwhile is none.
            let name = fs::read_to_string(thread.join("comm")).ok()?;
            let status = fs::read_to_string(thread.join("status")).ok()?;
            Some((name.trim_end().to_owned(), Privileges::of(&status)?))
        });
        threads.collect()
    }

    /// All its threads have exactly these privileges.
    ///
    /// # Panics
    /// If one has others.
    #[track_caller]
    pub fn expect_privileges(&self, privileges: Privileges) {
        for (name, found) in self.privileges() {
            assert_eq!(found, privileges, "thread {name}");
        }
    }

    /// Its threads have no privileges at all, but for the one capability that some front ends and
    /// folders take: [`Privileges::OVERRIDE`].
    ///
    /// # Panics
    /// If one has more.
    #[track_caller]
    pub fn expect_hardly_a_privilege(&self) {
        for (name, found) in self.privileges() {
            let capabilities = found.capabilities & !Privileges::OVERRIDE;
            assert_eq!(Privileges { capabilities, ..found }, Privileges::NONE, "thread {name}");
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the kernel counts of a process, all its threads together.

use std::fs;

use super::sys;

/// What was counted up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counted {
    /// Processor time in seconds, in user space and in the kernel. The kernel's workers for a
    /// process's io_uring are threads of that process, so theirs is in it.
    pub(super) cpu: f64,
    /// Bytes that were fetched from a disk for it.
    pub(super) fetched: u64,
    /// How often a thread that lives had nothing to do.
    pub(super) waits: u64,
}

/// What of a process's memory is in RAM, in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Resident {
    pub(super) anon: u64,
    pub(super) file: u64,
}

impl Counted {
    /// Of the process `pid` up to now.
    pub(super) fn of(pid: u32) -> Self {
        let stat = text(pid, "stat");
        let ticks = ticks(&stat).unwrap_or_else(|| panic!("what is in /proc/{pid}/stat: {stat}"));
        let cpu = f64::from(ticks) / sys::ticks_per_second();
        let fetched = field(&text(pid, "io"), "read_bytes:").unwrap_or(0);
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("list the threads");
        let status = |task: fs::DirEntry| fs::read_to_string(task.path().join("status")).ok();
        let waits =
            tasks.filter_map(|task| field(&status(task.ok()?)?, "voluntary_ctxt_switches:")).sum();
        Self { cpu, fetched, waits }
    }

    /// What was counted since an earlier moment.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu - before.cpu,
            fetched: self.fetched - before.fetched,
            // A thread that ended took its number with it.
            waits: self.waits.saturating_sub(before.waits),
        }
    }
}

impl Resident {
    /// Of the process `pid` now.
    pub(super) fn of(pid: u32) -> Self {
        let status = text(pid, "status");
        let of = |name| field(&status, name).unwrap_or(0);
        Self { anon: of("RssAnon:"), file: of("RssFile:") }
    }
}

/// The ticks of processor time in a line of `/proc/PID/stat`: its fields 14 and 15. They are
/// counted from behind the name, which is in brackets and may have any in it.
fn ticks(stat: &str) -> Option<u32> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    next()?.checked_add(next()?)
}

/// The number behind `name`, at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

fn text(pid: u32, file: &str) -> String {
    let file = format!("/proc/{pid}/{file}");
    fs::read_to_string(&file).unwrap_or_else(|e| panic!("read {file}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 105 0 0 0 12 30 0 0 20 0 3 0 99 1 2 3";
        assert_eq!(ticks(stat), Some(42));
        assert_eq!(ticks("7 (a) S 1 7"), None);
    }

    #[test]
    fn field_is_the_number_behind_its_name() {
        let text = "rchar: 5\nread_bytes: 4096\nVmRSS:\t   12 kB\n";
        assert_eq!(field(text, "read_bytes:"), Some(4096));
        assert_eq!(field(text, "VmRSS:"), Some(12));
        assert_eq!(field(text, "bytes:"), None);
    }

    #[test]
    fn own_process_is_counted() {
        let pid = std::process::id();
        let before = Counted::of(pid);
        assert!(Resident::of(pid).anon > 0);
        assert!(Counted::of(pid).since(before).cpu >= 0.0);
    }
}

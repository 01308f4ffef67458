// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The descriptors of a daemon, as the kernel describes them.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::running::Process;

impl Process {
    /// What its descriptors are for, as the kernel names it.
    ///
    /// Those of files under /sys do not count: the C library looks there for the number of
    /// processors when a thread allocates for the first time, and closes the file at once.
    pub fn descriptors(&self) -> Vec<String> {
        let folder = format!("/proc/{}/fd", self.pid());
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("list {folder}: {e}"));
        let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let names = links.map(|link| link.display().to_string());
        names.filter(|name| !name.starts_with("/sys/")).collect()
    }

    /// The flags with which it has the file `path` open, once for each time that it has: O_DIRECT
    /// and the like. What it is called where the daemon is does not matter.
    pub fn open_flags(&self, path: &Path) -> Vec<i32> {
        let is = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        let wanted = fs::metadata(path).map(|metadata| is(&metadata));
        let wanted = wanted.unwrap_or_else(|e| panic!("look at {}: {e}", path.display()));
        let folder = format!("/proc/{}/fd", self.pid());
        let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("list {folder}: {e}"));
        let numbers = entries.filter_map(|entry| {
            let entry = entry.ok()?.path();
            (is(&fs::metadata(&entry).ok()?) == wanted)
                .then(|| Some(entry.file_name()?.to_owned()))?
        });
        let flags = numbers.map(|number| {
            let text = self.text(&format!("fdinfo/{}", number.display()));
            let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
            let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
            flags.expect("flags in the description of a descriptor")
        });
        flags.collect()
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The files: how long they are, that they are there, and what of them is in the page cache.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::load::Generator;
use super::scenario::Disk;

/// The most that is written, where much may be dirty.
const MOST_WRITTEN: u64 = 4 << 30;

/// The files of all scenarios, made when the first needs them, and removed with the value.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    read: u64,
    written: u64,
    made: RefCell<Vec<PathBuf>>,
}

impl Files {
    /// In `folder`; the one that is read is of `read` bytes.
    ///
    /// # Errors
    /// How much may be dirty is not known.
    pub(super) fn new(folder: PathBuf, read: u64) -> Result<Self> {
        let limit = dirty_limit().context("find out how much of memory may be dirty")?;
        // A whole number of the largest blocks.
        let written = (limit / 4).min(MOST_WRITTEN) >> 20 << 20;
        Ok(Self { folder, read, written, made: RefCell::default() })
    }

    /// How many bytes the file of a scenario has.
    pub(super) fn len(&self, disk: Disk) -> u64 {
        if disk == Disk::Written { self.written } else { self.read }
    }

    /// Gets the file ready for a run, and says what it is called. What fio writes nobody could
    /// check, so it has one of its own.
    ///
    /// # Errors
    /// There is no room, or something else is wrong with the disk.
    pub(super) fn ready(&self, generator: Generator<'_>, disk: Disk, fio: bool) -> Result<&str> {
        let (name, generations) = match disk {
            Disk::Null => return Ok(""),
            Disk::Cached | Disk::Direct => ("read.img", None),
            Disk::Written if fio => ("written-by-fio.img", None),
            Disk::Written => ("written.img", Some("written.generations")),
        };
        let known = generations.is_none_or(|notes| self.folder.join(notes).exists());
        if !known || !self.folder.join(name).exists() {
            let len = self.len(disk);
            println!("  making {name}, {} MiB", len >> 20);
            let mut words = ["make", &format!("file={name}")].map(str::to_owned).to_vec();
            words.push(format!("len={len}"));
            words.push(format!("pieces={}", pieces(disk)));
            words.extend(generations.map(|notes| format!("generations={notes}")));
            self.note(name, generations);
            generator.ask(&words, 600.0)?;
        }
        let state = if disk == Disk::Direct { "uncached" } else { "cached" };
        let words = ["settle", &format!("file={name}"), &format!("state={state}")];
        generator.ask(&words.map(str::to_owned), 600.0)?;
        Ok(name)
    }

    /// What the load generator is told about the contents of a scenario's file.
    pub(super) fn contents(disk: Disk) -> Vec<String> {
        let words: &[&str] = match disk {
            Disk::Null => &["contents=unknown"],
            Disk::Cached | Disk::Direct => &["contents=known"],
            Disk::Written => &["contents=known", "generations=written.generations"],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn note(&self, name: &str, generations: Option<&str>) {
        let mut made = self.made.borrow_mut();
        made.extend([Some(name), generations].iter().flatten().map(|name| self.folder.join(name)));
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for path in self.made.borrow().iter() {
            // It may be gone, if the last run went wrong.
            let _ = fs::remove_file(path);
        }
    }
}

/// In what pieces a file is written at first. As it was written, so large are the parts in which the
/// page cache has it, and to write a page of a part of 1 MiB costs ext4 ten times as much as one that
/// is a part of its own: that would be all that is measured. A guest writes page by page, too.
fn pieces(disk: Disk) -> u64 {
    if disk == Disk::Written { 4 << 10 } else { 1 << 20 }
}

/// How many bytes of the page cache may be dirty before who writes has to wait.
fn dirty_limit() -> Result<u64> {
    let text = |path: &str| fs::read_to_string(path).with_context(|| format!("read {path}"));
    let number = |name: &str| -> Result<u64> {
        let text = text(&format!("/proc/sys/vm/{name}"))?;
        text.trim().parse().with_context(|| format!("{name}: {text}"))
    };
    let (bytes, ratio) = (number("dirty_bytes")?, number("dirty_ratio")?);
    limit(bytes, ratio, &text("/proc/meminfo")?).context("/proc/meminfo lacks what it always has")
}

/// `bytes`, if there are some; otherwise `ratio` percent of the memory that is free or has pages of
/// files in it.
fn limit(bytes: u64, ratio: u64, meminfo: &str) -> Option<u64> {
    if bytes > 0 {
        return Some(bytes);
    }
    let kib = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.strip_suffix("kB")?.trim().parse().ok()
    };
    let kib = kib("MemFree:")? + kib("Active(file):")? + kib("Inactive(file):")?;
    Some(kib * 1024 / 100 * ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:  9000 kB\nMemFree:   1000 kB\nActive(file):  400 kB\n\
                           Inactive(file):  600 kB\n";

    #[test]
    fn dirty_limit_is_a_part_of_what_files_could_have() {
        assert_eq!(limit(0, 20, MEMINFO), Some(2000 * 1024 / 100 * 20));
        assert_eq!(limit(0, 20, "MemFree: 7 kB\n"), None);
    }

    #[test]
    fn dirty_limit_in_bytes_stands_above_the_ratio() {
        assert_eq!(limit(4096, 20, ""), Some(4096));
    }
}

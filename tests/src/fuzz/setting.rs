// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a daemon is started with: its options and its disk.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{fmt, io};

use super::script::number;
use crate::random::Random;

/// The length of the disks, in bytes.
pub(super) const DISK: u64 = 1 << 20;

/// So many bytes more has an image than whole sectors, some of the time: they are nobody's.
pub(super) const TAIL: u64 = 100;

/// What the sanitizer is told by.
const ASAN: &str = "ASAN_OPTIONS";

/// The options of one daemon, and how long its image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// All but those for the socket and for a disk in a file.
    pub options: Vec<String>,
    /// The length of its image, in bytes; 0 if the options say another disk.
    pub image: u64,
}

/// What the program and the machine can do that is to be fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Abilities {
    /// It has the options `--sandbox` and `--seccomp`.
    pub sandbox: bool,
    /// It is built with AddressSanitizer, which wants memory.
    pub sanitized: bool,
    /// Its sanitizer can look for lost memory at its end, as long as it has no sandbox.
    pub leaks: bool,
    /// Images can be opened past the page cache.
    pub direct: bool,
}

impl Abilities {
    /// Those of `program`; `sanitized`: it is built with AddressSanitizer.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn of(program: &Path, sanitized: bool) -> io::Result<Self> {
        let help = Command::new(program).arg("--help").output()?;
        let sandbox = String::from_utf8_lossy(&help.stdout).contains("--seccomp");
        let folder = tempfile::tempdir()?;
        let mut ends = Command::new(program);
        ends.arg("--help").stdout(Stdio::null()).stderr(Stdio::null());
        // It stops our own threads to look, which not every host allows.
        let leaks = sanitized && ends.env(ASAN, "detect_leaks=1").status()?.success();
        Ok(Self { sandbox, sanitized, leaks, direct: is_direct_possible(folder.path()) })
    }
}

impl Setting {
    /// One of the settings.
    pub(super) fn of(random: &mut Random, can: Abilities) -> Self {
        let mut options = Vec::new();
        let mut say = |option: &str, value: &str| {
            options.extend([format!("--{option}"), value.to_owned()]);
        };
        let mut pick = |of: &[&'static str]| {
            let count = u64::try_from(of.len()).unwrap_or(1);
            of[usize::try_from(random.below(count)).unwrap_or_default()]
        };
        say("io-engine", pick(&["auto", "io_uring", "sync"]));
        let disk = pick(&["file", "file", "file", "file", "file", "file", "mem:1M", "null:1M"]);
        let cache = pick(&["writeback", "writeback", "writethrough", "none", "auto", "unsafe"]);
        let cache = if cache == "none" && !can.direct { "auto" } else { cache };
        let in_file = disk == "file";
        if in_file {
            say("cache", cache);
        } else {
            say("blk-file", disk);
        }
        say("discard", pick(&["unmap", "unmap", "ignore"]));
        say("num-queues", pick(&["1", "2", "4", "4", "64"]));
        say("queue-size", pick(&["4", "64", "128", "1024", "1024"]));
        say("poll-us", pick(&["0", "32", "32", "1000"]));
        if in_file && cache != "none" && cache != "auto" {
            say("block-size", pick(&["512", "512", "4096"]));
        }
        if can.sandbox {
            let sandbox = pick(&["auto", "auto", "auto", "none"]);
            say("sandbox", sandbox);
            // A sanitizer that looks for lost memory makes system calls that no daemon has a reason for.
            say("seccomp", if can.leaks && sandbox == "none" { "none" } else { "kill" });
        }
        let tail = if pick(&["whole", "tail"]) == "tail" { TAIL } else { 0 };
        if in_file && pick(&["rw", "rw", "rw", "ro"]) == "ro" {
            options.push("--read-only".to_owned());
        }
        Self { options, image: if in_file { DISK + tail } else { 0 } }
    }

    /// What the daemon is to have in its environment.
    pub(super) fn environment(&self, can: Abilities) -> Option<(&'static str, String)> {
        let sandbox = self.options.windows(2).any(|pair| *pair == ["--sandbox", "none"]);
        let leaks = u8::from(can.leaks && (sandbox || !can.sandbox));
        let says = format!("detect_leaks={leaks}:quarantine_size_mb=16");
        can.sanitized.then_some((ASAN, says))
    }

    /// Whether nothing may change the image.
    pub(super) fn is_read_only(&self) -> bool {
        self.options.iter().any(|option| option == "--read-only")
    }

    /// Whether what is written can be read again.
    pub(super) fn keeps(&self) -> bool {
        !self.options.iter().any(|option| option.starts_with("null:"))
    }

    /// The longest queue that it serves.
    pub(super) fn queue_size(&self) -> u16 {
        let at = self.options.iter().position(|option| option == "--queue-size");
        let said = at.and_then(|at| self.options.get(at + 1)?.parse().ok());
        said.unwrap_or(1024)
    }

    /// From the lines that its [`fmt::Display`] writes.
    pub(super) fn parse<'t>(lines: impl Iterator<Item = &'t str>) -> Option<Self> {
        let (mut options, mut image) = (None, 0);
        for line in lines {
            match line.split_once(' ') {
                Some(("options", all)) => {
                    options = Some(all.split_whitespace().map(str::to_owned).collect());
                }
                Some(("image", len)) => image = number(len)?,
                _ => (),
            }
        }
        Some(Self { options: options?, image })
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "options {}", self.options.join(" "))?;
        write!(f, "image {}", self.image)
    }
}

/// Whether a file in `folder` can be opened past the page cache.
fn is_direct_possible(folder: &Path) -> bool {
    use std::os::unix::fs::OpenOptionsExt;

    let path = folder.join("direct");
    let mut options = std::fs::File::options();
    let opened = options.create(true).truncate(true).write(true).custom_flags(libc::O_DIRECT);
    opened.open(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_written_down_and_read_again_is_the_same() {
        let can = Abilities { sandbox: true, sanitized: false, leaks: false, direct: true };
        let mut random = Random::of(3);
        for _ in 0..50 {
            let setting = Setting::of(&mut random, can);
            let text = setting.to_string();
            assert_eq!(Setting::parse(text.lines()), Some(setting));
        }
    }

    #[test]
    fn text_without_options_is_no_setting() {
        assert_eq!(Setting::parse("image 7".lines()), None);
    }
}

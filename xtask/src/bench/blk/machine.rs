// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the figures depend on: the machine, and the versions of all programs.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::contestant::Programs;
use crate::command;

/// How long a program may take to say its version.
const LIMIT: Duration = Duration::from_secs(20);

/// Lines about machine and programs.
///
/// # Errors
/// A program does not say its version, or the files would be in memory only.
pub(super) fn describe(folder: &Path, programs: &Programs) -> Result<String> {
    let file_system = file_system(folder)?;
    ensure!(
        !["tmpfs", "ramfs"].contains(&file_system.as_str()),
        "{} is in memory: name a folder on a disk with --dir",
        folder.display()
    );
    let cpus = thread::available_parallelism().map_or(0, usize::from);
    let kernel = text("/proc/sys/kernel/osrelease")?;
    let ours = first_line(Command::new(&programs.ours).arg("--version"))?;
    let qsds = programs.qsds.iter().map(|qsd| format!("qemu-storage-daemon {}; ", qsd.version));
    let fio = first_line(Command::new("fio").arg("--version"))?;
    Ok(format!(
        "{cpus} CPUs, {}; {}; Linux {}; {file_system}\n{ours}; {}{fio}",
        model(&text("/proc/cpuinfo")?),
        memory(&text("/proc/meminfo")?),
        kernel.trim(),
        qsds.collect::<String>(),
    ))
}

/// The type of the file system that a folder is on.
fn file_system(folder: &Path) -> Result<String> {
    first_line(Command::new("stat").args(["-f", "-c", "%T"]).arg(folder))
}

fn first_line(command: &mut Command) -> Result<String> {
    let output = command::output(command, LIMIT)?;
    Ok(output.lines().next().unwrap_or_default().to_owned())
}

fn text(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {path}"))
}

/// What the kernel calls the processor.
fn model(cpuinfo: &str) -> &str {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(": ")).map_or("of some kind", |(_, model)| model)
}

/// The memory in GiB.
fn memory(meminfo: &str) -> String {
    let words = meminfo.lines().next().unwrap_or_default().split_whitespace();
    let kib: u64 = words.filter_map(|word| word.parse().ok()).next().unwrap_or(0);
    format!("{} GiB", (kib + (1 << 19)) >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_and_memory_are_found_in_what_the_kernel_says() {
        assert_eq!(model("processor\t: 0\nmodel name\t: A B\nstepping\t: 2\n"), "A B");
        assert_eq!(memory("MemTotal:       24684092 kB\nMemFree: 1 kB\n"), "24 GiB");
    }
}

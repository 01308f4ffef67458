// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a test needs of the machine; where it is missing, the test says so instead of passing.

use std::env;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ordinary;

/// Whether `program` is in the PATH; if it isn't, says so on standard error.
///
/// # Panics
/// If it is missing where nothing may be: when the environment has `CI`.
pub fn program(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    met(
        env::split_paths(&path).any(|folder| folder.join(program).is_file()),
        &format!("the program {program}"),
    )
}

/// Whether this process is root's; if it isn't, says so on standard error.
///
/// # Panics
/// If it isn't where nothing may be missing: when the environment has `CI`.
pub fn root() -> bool {
    met(ordinary::tests_are_roots(), "to be root")
}

/// Huge pages of 2 MiB that this machine has because a test wanted them; they go with the value.
#[derive(Debug)]
pub struct HugePages {
    /// Locked: one test at a time has some.
    setting: File,
    before: u64,
}

/// Has the kernel set `count` huge pages of 2 MiB aside; if it can't be told to, says so on
/// standard error.
///
/// # Panics
/// If it can't where nothing may be missing: when the environment has `CI`.
pub fn huge_pages(count: u64) -> Option<HugePages> {
    if !root() {
        return None;
    }
    let mut options = File::options();
    let setting = options.read(true).write(true).open("/proc/sys/vm/nr_hugepages");
    let pages = setting.ok().and_then(|setting| HugePages::set(setting, count).ok());
    met(pages.is_some(), &format!("{count} huge pages")).then_some(pages)?
}

impl HugePages {
    fn set(setting: File, count: u64) -> io::Result<Self> {
        setting.lock()?;
        let before = read_number(&setting)?;
        // Dropped on every way out, it sets back what was before.
        let pages = Self { setting, before };
        pages.setting.write_at(format!("{}", before + count).as_bytes(), 0)?;
        let enough = read_number(&pages.setting)? >= before + count;
        if enough { Ok(pages) } else { Err(io::ErrorKind::OutOfMemory.into()) }
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        // Whoever has set it may not any more; then nothing is lost but memory.
        let _ = self.setting.write_at(format!("{}", self.before).as_bytes(), 0);
    }
}

fn read_number(file: &File) -> io::Result<u64> {
    let mut text = [0; 32];
    let len = file.read_at(&mut text, 0)?;
    let text = str::from_utf8(&text[..len]).map_err(io::Error::other)?;
    text.trim().parse().map_err(io::Error::other)
}

/// Whether what is at `path` can be read and written past the page cache; if it can't, says so on
/// standard error.
///
/// # Panics
/// If it can't where nothing may be missing: when the environment has `CI`.
pub fn direct_io(path: &Path) -> bool {
    let direct = File::options().read(true).custom_flags(libc::O_DIRECT).open(path);
    met(direct.is_ok(), &format!("to open {} with O_DIRECT", path.display()))
}

/// A block device that has the bytes of a file; it goes with the value.
#[derive(Debug)]
pub struct LoopDevice(PathBuf);

/// Makes a block device of `file`; if that can't be had, says so on standard error.
///
/// # Panics
/// If it can't where nothing may be missing: when the environment has `CI`.
pub fn loop_device(file: &Path) -> Option<LoopDevice> {
    loop_device_with_sectors(file, 512)
}

/// The same, with logical sectors of `len` bytes.
///
/// # Panics
/// As [`loop_device`].
pub fn loop_device_with_sectors(file: &Path, len: u32) -> Option<LoopDevice> {
    if !root() {
        return None;
    }
    let sectors = format!("--sector-size={len}");
    let made = losetup().args(["--find", "--show", &sectors]).arg(file).output();
    let made = made.ok().filter(|output| output.status.success());
    if !met(made.is_some(), "a loop device") {
        return None;
    }
    let said = String::from_utf8(made?.stdout).expect("the path of a loop device");
    Some(LoopDevice(said.trim_end().into()))
}

impl LoopDevice {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Has the kernel see that its file has another size.
    pub fn read_size_again(&self) {
        let status = losetup().arg("--set-capacity").arg(&self.0).status();
        assert!(status.expect("run losetup").success(), "losetup --set-capacity");
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        // Whoever still has it open keeps it until then.
        let _ = losetup().arg("--detach").arg(&self.0).status();
    }
}

fn losetup() -> Command {
    let mut command = Command::new("losetup");
    let path = env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

#[expect(clippy::print_stderr, reason = "a test that does not run must be heard of")]
pub(crate) fn met(met: bool, what: &str) -> bool {
    if !met {
        assert!(env::var_os("CI").is_none(), "this test needs {what}");
        eprintln!("SKIPPED: this test needs {what}");
    }
    met
}

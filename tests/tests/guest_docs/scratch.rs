// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A folder in which commands are run, with what they name.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use vhost_user_tests::daemon::{Process, binary};
use vhost_user_tests::deadline::Deadline;
use vhost_user_tests::guest::{Boot, Disk, Guest, Kernel, Share, Watch};

use super::blocks::{Block, Fate};

/// How long a guest may live.
const LIFETIME: Duration = Duration::from_secs(90);

/// The folder; it goes with the value, and with it whatever was left running in it.
#[derive(Debug)]
pub(super) struct Scratch(TempDir);

impl Scratch {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().expect("make a directory for commands");
        Disk::create(dir.path().join("disk.img")).expect("make a disk");
        let root = dir.path().join("root");
        fs::create_dir(&root).expect("make a directory to be shared");
        Share::create(root).expect("fill the directory that is shared");
        Self(dir)
    }

    /// Runs a block to its end.
    pub(super) fn run(&self, block: &Block) {
        if let Fate::Ends { after: Some(after) } = &block.fate {
            self.run_to_the_end(after);
        }
        self.run_to_the_end(&block.commands);
    }

    fn run_to_the_end(&self, commands: &str) {
        let log = File::create(self.path().join("log")).expect("make a log");
        let mut shell = self.shell(commands);
        // No pipe: what is left in the background would keep it open.
        shell.stdin(Stdio::null()).stderr(log.try_clone().expect("a log")).stdout(log);
        let mut child = shell.spawn().expect("start bash");
        // It is killed if it does not end.
        let bash = Process::of(child.id());
        let ended = Deadline::new().readable(&bash.ended_fd());
        let said = fs::read_to_string(self.path().join("log")).expect("read a log");
        assert!(ended, "it does not end: {commands}\n{said}");
        let status = child.wait().expect("wait for bash");
        assert!(status.success(), "{commands}: {status}\n{said}");
    }

    /// Runs a block until its guest is up, and powers it off; then the block ends.
    pub(super) fn boot(&self, block: &Block) -> Result<()> {
        let boot = Boot::new(Kernel::of_this_machine()?, self.path())?;
        symlink(boot.kernel().image(), self.path().join("vmlinuz")).context("link the kernel")?;
        symlink(boot.initramfs(), self.path().join("initrd.img")).context("link the initrd")?;
        let to_share = self.path().join("to-share");
        fs::create_dir(&to_share).context("make a directory for an initrd")?;
        let share = Boot::to_share(boot.kernel().clone(), &[], &to_share)?;
        symlink(share.initramfs(), self.path().join("share.img")).context("link the initrd")?;
        let shell = self.shell(&block.commands);
        let mut guest = Guest::of(shell, Watch::Record, LIFETIME)?;
        guest.wait_for_shell()?;
        let mounts = guest.shell("mount")?;
        let roots = ["/dev/vda on / ", "rootfs on / type virtiofs"];
        let has_root = roots.iter().any(|root| mounts.contains(root));
        assert!(has_root, "the guest has another root: {mounts}");
        guest.power_off()?;
        Ok(())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn shell(&self, commands: &str) -> Command {
        let programs = binary("vhost-user-blk");
        let programs = programs.parent().expect("the folder of the daemons").to_owned();
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(std::iter::once(programs).chain(env::split_paths(&path)));
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", commands]).current_dir(self.path());
        shell.env("PATH", path.expect("a PATH"));
        shell
    }
}

impl Drop for Scratch {
    /// Ends the daemons that went to the background: the commands say where their numbers are.
    fn drop(&mut self) {
        let files = fs::read_dir(self.path()).into_iter().flatten().flatten();
        let pid_files = files.filter(|file| file.path().extension().is_some_and(|e| e == "pid"));
        for file in pid_files {
            let pid = fs::read_to_string(file.path()).ok().and_then(|pid| pid.trim().parse().ok());
            // The value kills when it is dropped.
            drop(pid.map(Process::of));
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A machine of its own for commands that are for root and want systemd: a guest, in a folder like a
//! clone of the repository in which a release was built.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use vhost_user_tests::daemon::binary;
use vhost_user_tests::guest::{Guest, Qemu, SystemdRoot};

use super::blocks::Block;

/// How long the guest may live.
const LIFETIME: Duration = Duration::from_secs(240);

/// Where the clone is in the guest, without the slash at the beginning.
const CLONE: &str = "usr/src/clone";

/// The machine, on which its administrator works.
pub(super) struct Machine {
    guest: Guest,
    /// What the guest reads as long as it runs.
    _root: SystemdRoot,
}

impl Machine {
    /// One that has booted.
    ///
    /// # Errors
    /// It does not come up.
    pub(super) fn booted() -> Result<Self> {
        let root = SystemdRoot::new()?;
        for daemon in ["vhost-user-blk", "virtiofsd"] {
            root.copy(&format!("{CLONE}/target/release/{daemon}"), &binary(daemon))?;
        }
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for file in files(&repository.join("systemd"))? {
            let name = file.strip_prefix(&repository)?;
            root.copy(&format!("{CLONE}/{}", name.display()), &file)?;
        }
        let mut guest = root.boot(&Qemu::installed()?, LIFETIME)?;
        guest.wait_for_shell()?;
        // Programs can be installed as on any machine; what is installed goes with it.
        guest
            .shell("mkdir -p /mnt && mount -t tmpfs installed /mnt && mkdir /mnt/new /mnt/work")?;
        let layers = "lowerdir=/usr,upperdir=/mnt/new,workdir=/mnt/work";
        guest.shell(&format!("mount -t overlay usr -o {layers} /usr"))?;
        // Nobody turns pages here.
        guest.shell("export SYSTEMD_PAGER=cat")?;
        guest.shell(&format!("cd /{CLONE}"))?;
        Ok(Self { guest, _root: root })
    }

    /// Runs a block, a command after the other.
    ///
    /// # Errors
    /// One of them fails.
    pub(super) fn run(&mut self, block: &Block, before: Option<&str>) -> Result<()> {
        let commands = block.commands.replace("\\\n", " ");
        for command in before.into_iter().chain(commands.lines()) {
            self.guest.shell(command).with_context(|| block.to_string())?;
        }
        Ok(())
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() { files.extend(self::files(&path)?) } else { files.push(path) }
    }
    Ok(files)
}

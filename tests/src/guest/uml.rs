// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! User-Mode Linux: a kernel that is a program, with a vhost-user front end of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::running::{LIFETIME, Processes};
use super::setup::{self, Found};
use super::{Attached, Boot, Guest, Kernel, Shared, Watch};

/// Where the distribution keeps the modules.
const MODULES: &str = "/usr/lib/uml/modules";

/// The program User-Mode Linux.
#[derive(Clone, Debug)]
pub struct Uml {
    kernel: Kernel,
}

impl Uml {
    /// The one that is installed.
    ///
    /// # Errors
    /// There is none although the distribution has it: the set-up has not run.
    pub fn installed() -> Result<Found<Self>> {
        setup::found("user-mode-linux", || {
            let kernel = Kernel::user_mode(program()?, modules()?)?;
            Ok(Self { kernel })
        })
    }

    /// The kernel that it is.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Starts a guest of one processor and 256 MiB, with `disk` as its /dev/vda. It has one
    /// request queue, whatever `disk` says: its driver knows no more. `dir` is for its own files.
    ///
    /// # Errors
    /// It can't be started.
    pub fn start(&self, boot: &Boot, disk: &Attached, dir: &Path, watch: Watch) -> Result<Guest> {
        // A block device (2), as the first of the platform devices.
        let device = format!("{}:2:1", disk.socket.display());
        self.start_with(boot, &device, dir, watch)
    }

    /// Starts the same guest with another device: `SOCKET:TYPE:ID`, where the type is that of
    /// virtio 1.3, section 5.
    ///
    /// # Errors
    /// It can't be started.
    pub fn start_with(&self, boot: &Boot, device: &str, dir: &Path, watch: Watch) -> Result<Guest> {
        Guest::start(self.command(boot, device, dir), Processes::Group, watch, LIFETIME)
    }

    /// Starts the same guest with virtio file systems, whose tags it asks them for. It may live for as long
    /// as `lifetime`.
    ///
    /// # Errors
    /// It can't be started.
    pub fn start_with_shares(
        &self,
        boot: &Boot,
        shares: &[Shared],
        dir: &Path,
        lifetime: Duration,
    ) -> Result<Guest> {
        // File systems (26), as platform devices with numbers from 1 on.
        let device =
            |(id, share): (usize, &Shared)| format!("{}:26:{}", share.socket.display(), id + 1);
        let mut devices = shares.iter().enumerate().map(device);
        let first = devices.next().context("a guest without a share")?;
        let mut command = self.command(boot, &first, dir);
        command.args(devices.map(|device| format!("virtio_uml.device={device}")));
        Guest::start(command, Processes::Group, Watch::Record, lifetime)
    }

    /// The command that [`Uml::start_with`] starts.
    pub fn command(&self, boot: &Boot, device: &str, dir: &Path) -> Command {
        let mut command = Command::new(self.kernel.image());
        command.args(["mem=256M", "quiet", "panic=1", "con=null", "con0=fd:0,fd:1", "ssl=null"]);
        command.arg(format!("initrd={}", boot.initramfs().display()));
        command.arg(format!("uml_dir={}", dir.display()));
        command.arg(format!("virtio_uml.device={device}"));
        // Its memory is a file, which it puts on a tmpfs by itself if nobody knows better.
        for name in ["TMPDIR", "TMP", "TEMP"] {
            command.env_remove(name);
        }
        command
    }
}

fn program() -> Result<PathBuf> {
    let program = setup::system_program("linux.uml");
    fs::metadata(&program)
        .with_context(|| format!("find {}, of the package user-mode-linux", program.display()))?;
    Ok(program)
}

/// The directory below [`MODULES`] that is named after the release.
fn modules() -> Result<PathBuf> {
    let entries = fs::read_dir(MODULES).with_context(|| format!("list {MODULES}"))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.max().with_context(|| format!("find a kernel release in {MODULES}"))
}

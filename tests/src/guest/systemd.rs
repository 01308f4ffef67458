// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A guest whose first program is systemd, the host's own, among the host's other programs.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{Accel, Boot, Guest, Kernel, Qemu, Watch};

/// Whatever such a guest needs that may not be built into its kernel.
const MODULES: [&str; 5] = ["virtio_pci", "9p", "9pnet_virtio", "overlay", "loop"];

/// What the host's systemd would do at a boot and no test wants: it takes its time, or it does to this
/// kernel what the host wants for its own.
const MASKED: [&str; 17] = [
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "kmod-static-nodes.service",
    "ldconfig.service",
    "modprobe@.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-random-seed.service",
    "systemd-sysctl.service",
    "systemd-timesyncd.service",
    "systemd-update-utmp.service",
];

/// What a guest has beside the host's /usr: files of a test's own, in /usr and in /etc.
///
/// The rest of its file system is in memory and empty at first. It has a shell on its console, and
/// ends with what it has written.
#[derive(Debug)]
pub struct SystemdRoot {
    folder: TempDir,
}

impl SystemdRoot {
    /// Nothing but the shell.
    ///
    /// # Errors
    /// The files can't be written.
    pub fn new() -> Result<Self> {
        let folder = TempDir::with_prefix("root-").context("make a folder for a guest's files")?;
        let root = Self { folder };
        root.program("usr/bin/prompt", include_bytes!("rootfs/prompt"))?;
        // With a number the guest is not on its first boot, on which it would ask people.
        root.file("etc/machine-id", format!("{:032x}\n", 0x9e57).as_bytes())?;
        let units = "etc/systemd/system";
        let target = include_bytes!("rootfs/systemd/guest.target");
        root.file(&format!("{units}/guest.target"), target)?;
        let shell = include_bytes!("rootfs/systemd/shell.service");
        root.file(&format!("{units}/shell.service"), shell)?;
        root.link(&format!("{units}/default.target"), "guest.target")?;
        for unit in MASKED {
            root.link(&format!("{units}/{unit}"), "/dev/null")?;
        }
        Ok(root)
    }

    /// One file more; `path` is relative, in `usr` or `etc`.
    ///
    /// # Errors
    /// It can't be written.
    pub fn file(&self, path: &str, content: &[u8]) -> Result<()> {
        let place = self.place(path)?;
        fs::write(&place, content).with_context(|| format!("write {}", place.display()))
    }

    /// One program more, with this content.
    ///
    /// # Errors
    /// It can't be written.
    pub fn program(&self, path: &str, content: &[u8]) -> Result<()> {
        self.file(path, content)?;
        let place = self.place(path)?;
        fs::set_permissions(&place, Permissions::from_mode(0o755))
            .with_context(|| format!("let {} be run", place.display()))
    }

    /// One file more, which is that of the host at `from`.
    ///
    /// # Errors
    /// It can't be copied.
    pub fn copy(&self, path: &str, from: &Path) -> Result<()> {
        let place = self.place(path)?;
        fs::copy(from, &place).with_context(|| format!("copy {}", from.display())).map(drop)
    }

    fn link(&self, path: &str, target: &str) -> Result<()> {
        let place = self.place(path)?;
        symlink(target, &place).with_context(|| format!("link {}", place.display()))
    }

    /// Where the guest's `path` is on the host, in a folder that exists.
    fn place(&self, path: &str) -> Result<PathBuf> {
        let place = self.folder.path().join(path);
        let folder = place.parent().unwrap_or(&place);
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(place)
    }

    /// Boots the kernel of this machine under `qemu`. The files here must outlive the guest, which
    /// may live so long.
    ///
    /// # Errors
    /// There is no usable kernel, or QEMU can't be started.
    pub fn boot(&self, qemu: &Qemu, lifetime: Duration) -> Result<Guest> {
        let boot = Boot::to_systemd(Kernel::of_this_machine()?, &MODULES, self.folder.path())?;
        let accel = Accel::of_this_machine(qemu, &boot)?;
        let mut command = qemu.without_disk(&boot, accel);
        for (tag, folder) in [("usr", Path::new("/usr")), ("own", self.folder.path())] {
            let share = format!("local,id={tag},path={}", folder.display());
            command.args(["-fsdev", &format!("{share},security_model=none,readonly=on")]);
            command.args(["-device", &format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}")]);
        }
        Guest::of(command, Watch::Record, lifetime)
    }
}

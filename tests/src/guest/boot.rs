// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a guest is booted with: a kernel and an initramfs made for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Kernel, cpio, setup};

/// A kernel, and the initramfs that finds the disk for it.
#[derive(Clone, Debug)]
pub struct Boot {
    kernel: Kernel,
    initramfs: PathBuf,
}

impl Boot {
    /// Makes the initramfs for `kernel` in the directory `dir`.
    ///
    /// # Errors
    /// The kernel lacks a driver, busybox isn't there, or the file can't be written.
    pub fn new(kernel: Kernel, dir: &Path) -> Result<Self> {
        let modules = kernel.modules_for_disk();
        Self::of(kernel, dir, |archive| {
            for dir in ["proc", "root"] {
                archive.directory(dir)?;
            }
            archive.program("init", include_bytes!("rootfs/initramfs-init"))?;
            load(archive, &modules?)
        })
    }

    /// Makes an initramfs in the directory `dir` with which the guest needs no disk: it has the
    /// drivers `modules` with all that they need, and its shell is the same.
    ///
    /// # Errors
    /// The kernel lacks a driver, busybox isn't there, or the file can't be written.
    pub fn without_disk(kernel: Kernel, modules: &[&str], dir: &Path) -> Result<Self> {
        let modules = kernel.modules(modules);
        Self::of(kernel, dir, |archive| {
            for dir in ["etc", "mnt", "proc", "root", "sbin", "sys", "tmp"] {
                archive.directory(dir)?;
            }
            archive.program("init", include_bytes!("rootfs/bare-init"))?;
            archive.file("etc/inittab", include_bytes!("rootfs/inittab"))?;
            archive.program("etc/rc", include_bytes!("rootfs/rc"))?;
            archive.program("sbin/prompt", include_bytes!("rootfs/prompt"))?;
            load(archive, &modules?)
        })
    }

    /// Makes an initramfs in the directory `dir` for a guest whose root is a [`Share`](super::Share), with the
    /// drivers `modules` beside those that this takes.
    ///
    /// # Errors
    /// The kernel lacks a driver, busybox isn't there, or the file can't be written.
    pub fn to_share(kernel: Kernel, modules: &[&str], dir: &Path) -> Result<Self> {
        let modules = kernel.modules_for_share(modules);
        Self::of(kernel, dir, |archive| {
            for dir in ["proc", "root"] {
                archive.directory(dir)?;
            }
            archive.program("init", include_bytes!("rootfs/share-init"))?;
            load(archive, &modules?)
        })
    }

    /// Makes an initramfs in the directory `dir` that goes on with systemd, in a root file system
    /// around the host's /usr; it has the drivers `modules` with all that they need.
    ///
    /// # Errors
    /// The kernel lacks a driver, busybox isn't there, or the file can't be written.
    pub(super) fn to_systemd(kernel: Kernel, modules: &[&str], dir: &Path) -> Result<Self> {
        let modules = kernel.modules(modules);
        Self::of(kernel, dir, |archive| {
            for dir in ["proc", "root"] {
                archive.directory(dir)?;
            }
            archive.program("init", include_bytes!("rootfs/systemd-init"))?;
            load(archive, &modules?)
        })
    }

    fn of(
        kernel: Kernel,
        dir: &Path,
        fill: impl FnOnce(&mut cpio::Archive) -> Result<()>,
    ) -> Result<Self> {
        let act = || format!("make an initramfs for kernel {}", kernel.release());
        let mut archive = common().with_context(act)?;
        fill(&mut archive).with_context(act)?;
        let archive = archive.finish().with_context(act)?;
        let initramfs = dir.join(format!("initramfs-{}", kernel.release()));
        fs::write(&initramfs, archive).with_context(|| format!("write {}", initramfs.display()))?;
        Ok(Self { kernel, initramfs })
    }

    /// The kernel.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The initramfs that was made.
    pub fn initramfs(&self) -> &Path {
        &self.initramfs
    }
}

/// Busybox, linked statically: the only program of the guest.
pub(super) fn busybox() -> PathBuf {
    setup::system_program("busybox")
}

/// What every initramfs has.
fn common() -> Result<cpio::Archive> {
    let mut archive = cpio::Archive::default();
    for dir in ["bin", "dev", "modules"] {
        archive.directory(dir)?;
    }
    // What init talks to, should the kernel not mount a devtmpfs by itself.
    archive.terminal("dev/console", (5, 1))?;
    archive.program("bin/busybox", &read(&busybox())?)?;
    Ok(archive)
}

/// Adds `modules`, to be loaded in this order.
fn load(archive: &mut cpio::Archive, modules: &[PathBuf]) -> Result<()> {
    let mut order = String::new();
    for path in modules {
        let name = module_name(path)?;
        archive.file(&format!("modules/{name}"), &module(path)?)?;
        order.push_str(&name);
        order.push('\n');
    }
    archive.file("modules/order", order.as_bytes())
}

/// The file name of a module without what says how it is compressed.
fn module_name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("read the name of {}", path.display()))?;
    let end = name.find(".ko").map_or(name.len(), |start| start + ".ko".len());
    Ok(name[..end].to_owned())
}

/// The content of a module, decompressed.
fn module(path: &Path) -> Result<Vec<u8>> {
    let program = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => return read(path),
    };
    setup::bytes_of(Command::new(program).args(["--decompress", "--stdout"]).arg(path))
        .with_context(|| format!("decompress the module {}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_that_is_compressed_is_named_without_that() {
        let name = module_name(Path::new("/lib/modules/6.12/virtio_blk.ko.xz")).unwrap();

        assert_eq!(name, "virtio_blk.ko");
    }
}

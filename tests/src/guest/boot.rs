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
        let archive = initramfs(&kernel)
            .with_context(|| format!("make an initramfs for kernel {}", kernel.release()))?;
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

fn initramfs(kernel: &Kernel) -> Result<Vec<u8>> {
    let mut archive = cpio::Archive::default();
    for dir in ["bin", "dev", "modules", "proc", "root"] {
        archive.directory(dir)?;
    }
    // What init talks to, should the kernel not mount a devtmpfs by itself.
    archive.terminal("dev/console", (5, 1))?;
    archive.program("init", include_bytes!("rootfs/initramfs-init"))?;
    archive.program("bin/busybox", &read(&busybox())?)?;
    let mut order = String::new();
    for path in kernel.modules_for_disk()? {
        let name = module_name(&path)?;
        archive.file(&format!("modules/{name}"), &module(&path)?)?;
        order.push_str(&name);
        order.push('\n');
    }
    archive.file("modules/order", order.as_bytes())?;
    archive.finish()
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

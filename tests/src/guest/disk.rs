// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A disk image that a guest can live on, made and examined without a mount and without root.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::{boot, setup};

/// The ext4 root file system fills the first 128 MiB, and nothing the 64 MiB behind it.
const FILE_SYSTEM: u64 = 128 << 20;
const LENGTH: u64 = 192 << 20;

/// A disk image: a root file system with busybox at its start, free space behind it.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Makes the image at `path`, a sparse file.
    ///
    /// # Errors
    /// busybox or mke2fs is missing, or the image can't be written.
    pub fn create(path: PathBuf) -> Result<Self> {
        let act = || format!("make the disk image {}", path.display());
        let tree = tempfile::tempdir().with_context(act)?;
        plant(tree.path()).with_context(act)?;
        File::create(&path).and_then(|image| image.set_len(LENGTH)).with_context(act)?;
        let mut mke2fs = Command::new(setup::system_program("mke2fs"));
        // All is initialised now, so that the guest's kernel has nothing left to do behind our
        // back; a user's id as the owner of the root directory would be no good either.
        mke2fs.args(["-q", "-F", "-t", "ext4", "-E"]);
        mke2fs.arg("root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0");
        mke2fs.arg("-d").arg(tree.path()).arg(&path).arg(format!("{}k", FILE_SYSTEM >> 10));
        setup::output_of(&mut mke2fs).with_context(act)?;
        Ok(Self { path })
    }

    /// Where the image is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The offset of the first byte behind the file system.
    pub fn free_space(&self) -> u64 {
        FILE_SYSTEM
    }

    /// Gives the image another length, in bytes, whoever may be using it.
    ///
    /// # Errors
    /// The host says no.
    pub fn set_len(&self, len: u64) -> Result<()> {
        let image = File::options().write(true).open(&self.path);
        image
            .and_then(|image| image.set_len(len))
            .with_context(|| format!("give {} a length of {len} bytes", self.path.display()))
    }

    /// Looks through the file system, which nobody may be using.
    ///
    /// # Errors
    /// e2fsck finds anything at all, a journal to be replayed included.
    pub fn check(&self) -> Result<()> {
        let mut e2fsck = Command::new(setup::system_program("e2fsck"));
        let said = setup::output_of(e2fsck.arg("-fn").arg(&self.path))
            .with_context(|| format!("find the file system in {} clean", self.path.display()))?;
        if said.contains("journal recovery") {
            bail!("the file system in {} was not unmounted: {said}", self.path.display());
        }
        Ok(())
    }

    /// Reads a file of the file system, by its absolute path in the guest.
    ///
    /// # Errors
    /// There is no such file.
    pub fn read_file(&self, path: &str) -> Result<Vec<u8>> {
        let mut debugfs = Command::new(setup::system_program("debugfs"));
        debugfs.arg("-R").arg(format!("cat {path}")).arg(&self.path);
        let output = debugfs.output().with_context(|| format!("start {debugfs:?}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        // The first line is its version; its exit code is 0 whatever happened.
        let complaints: Vec<&str> = said.lines().skip(1).collect();
        ensure!(
            output.status.success() && complaints.is_empty(),
            "read {path} in {}: {}",
            self.path.display(),
            complaints.join("; ")
        );
        Ok(output.stdout)
    }

    /// The SHA-256 of a file of the file system, in hex.
    ///
    /// # Errors
    /// There is no such file.
    pub fn sha256_of_file(&self, path: &str) -> Result<String> {
        sha256(&self.read_file(path)?)
    }

    /// Reads `len` bytes of the image from `offset`.
    ///
    /// # Errors
    /// The image is shorter, or can't be read.
    pub fn read_at(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        File::open(&self.path)
            .and_then(|image| image.read_exact_at(&mut bytes, offset))
            .with_context(|| format!("read {len} bytes at {offset} of {}", self.path.display()))?;
        Ok(bytes)
    }
}

/// The SHA-256 of `bytes`, in hex, as the program sha256sum says it.
///
/// # Errors
/// The program is missing or fails.
pub(super) fn sha256(bytes: &[u8]) -> Result<String> {
    let mut sum = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("start sha256sum")?;
    // It says nothing before it has read all.
    sum.stdin.take().context("feed sha256sum")?.write_all(bytes).context("feed sha256sum")?;
    let output = sum.wait_with_output().context("wait for sha256sum")?;
    let said = String::from_utf8(output.stdout).context("read what sha256sum says")?;
    Ok(said.split(' ').next().unwrap_or_default().to_owned())
}

/// Makes the directory tree of the guest's root file system.
pub(super) fn plant(root: &Path) -> Result<()> {
    for dir in ["bin", "dev", "etc", "proc", "root", "sbin", "sys", "tmp"] {
        fs::create_dir(root.join(dir)).with_context(|| format!("make the directory {dir}"))?;
    }
    let busybox = boot::busybox();
    fs::copy(&busybox, root.join("bin/busybox"))
        .with_context(|| format!("copy {}", busybox.display()))?;
    for name in setup::output_of(Command::new(&busybox).arg("--list"))?.lines() {
        if name != "busybox" {
            let link = root.join("bin").join(name);
            symlink("busybox", &link).with_context(|| format!("link the program {name}"))?;
        }
    }
    symlink("../bin/busybox", root.join("sbin/init")).context("link the program init")?;
    file(root, "etc/inittab", include_str!("rootfs/inittab"), 0o644)?;
    file(root, "etc/passwd", "root::0:0:root:/root:/bin/sh\n", 0o644)?;
    file(root, "etc/rc", include_str!("rootfs/rc"), 0o755)?;
    file(root, "sbin/prompt", include_str!("rootfs/prompt"), 0o755)
}

fn file(root: &Path, path: &str, content: &str, mode: u32) -> Result<()> {
    File::create_new(root.join(path))
        .and_then(|mut file| {
            file.write_all(content.as_bytes())?;
            file.set_permissions(Permissions::from_mode(mode))
        })
        .with_context(|| format!("write the guest's file /{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(dir: &tempfile::TempDir) -> Disk {
        Disk::create(dir.path().join("disk.img")).unwrap()
    }

    #[test]
    fn disk_that_is_new_is_clean_and_has_the_init_scripts() {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk(&dir);

        disk.check().unwrap();

        assert_eq!(disk.read_file("/etc/rc").unwrap(), include_bytes!("rootfs/rc"));
    }

    #[test]
    fn disk_file_that_is_missing_is_an_error() {
        let dir = tempfile::tempdir().unwrap();

        let error = disk(&dir).read_file("/root/none").unwrap_err().to_string();

        assert!(error.starts_with("read /root/none in "), "{error}");
        assert!(error.ends_with("/root/none: File not found by ext2_lookup "), "{error}");
    }

    #[test]
    fn disk_that_is_damaged_is_not_clean() {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk(&dir);
        // The first table of group descriptors, behind the super block.
        let image = File::options().write(true).open(disk.path()).unwrap();
        image.write_all_at(&[0xff; 64], 4096).unwrap();

        let error = disk.check().unwrap_err().to_string();

        assert!(error.starts_with("find the file system in "), "{error}");
    }
}

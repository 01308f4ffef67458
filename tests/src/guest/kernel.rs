// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The kernel that a guest boots, and which of its modules a disk needs.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::setup::{self, Found};

/// A kernel with its modules.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The bootable image. A program of its own for User-Mode Linux.
    image: PathBuf,
    /// Its release, as `uname -r` says it.
    release: String,
    /// The directory of that name with the modules.
    modules: PathBuf,
    /// The modules that a virtio disk with ext4 needs, if they are not built in.
    wanted: &'static [&'static str],
    /// Those that a virtio file system needs.
    wanted_for_share: &'static [&'static str],
}

impl Kernel {
    /// The newest kernel in /boot whose modules are installed and can drive a virtio disk.
    ///
    /// # Errors
    /// There is none, or it is readable only by root and the set-up made no copy.
    pub fn of_this_machine() -> Result<Self> {
        let mut releases = installed_releases(Path::new("/boot"))?;
        releases.sort_by(|a, b| by_version(b, a));
        let kernel = releases.iter().map(|release| Self::in_boot(release)).find(Self::is_usable);
        let mut kernel = kernel.with_context(|| {
            format!(
                "find a kernel with virtio_blk, virtio_pci and ext4 among the {} in /boot: \
                 install linux-image-amd64 (Debian) or linux-image-virtual (Ubuntu)",
                releases.len()
            )
        })?;
        if fs::File::open(&kernel.image).is_err() {
            let copy = setup::dir().join(format!("vmlinuz-{}", kernel.release));
            if !copy.is_file() {
                bail!(
                    "{} is readable only by root: run tests/setup, which copies it to {}",
                    kernel.image.display(),
                    copy.display()
                );
            }
            kernel.image = copy;
        }
        Ok(kernel)
    }

    /// One of 6.12 or later, whose driver of file systems uses several request queues: the installed one,
    /// or one that the set-up unpacked.
    ///
    /// # Errors
    /// The set-up has not run.
    pub fn with_many_queues() -> Result<Found<Self>> {
        if let Ok(kernel) = Self::of_this_machine()
            && by_version(&kernel.release, "6.12") != Ordering::Less
        {
            return Ok(Found::Here(kernel));
        }
        setup::found("newer-kernel", || {
            let root = setup::dir().join("newer-kernel");
            let releases = installed_releases(&root.join("boot"))?;
            let release = releases.first().with_context(|| format!("find a kernel in {root:?}"))?;
            Ok(Self::below(&root, release))
        })
    }

    /// User-Mode Linux, the program `image` with the directory of its modules.
    pub(super) fn user_mode(image: PathBuf, modules: PathBuf) -> Result<Self> {
        let release = modules.file_name().and_then(OsStr::to_str);
        let release =
            release.with_context(|| format!("read a release in {}", modules.display()))?;
        let release = release.to_owned();
        let wanted: &[&str] = &["virtio_blk", "ext4"];
        Ok(Self { image, release, modules, wanted, wanted_for_share: &["virtiofs"] })
    }

    /// Where the image is.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// Its release, as `uname -r` says it in the guest.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The modules to load for a virtio disk with ext4, in the order of loading; those that are
    /// built in are left out. They may be compressed (`.ko.xz`, `.ko.zst`).
    ///
    /// # Errors
    /// The kernel has no such driver.
    pub(super) fn modules_for_disk(&self) -> Result<Vec<PathBuf>> {
        self.modules(self.wanted)
    }

    /// The same, for a virtio file system and what else has a name here.
    pub(super) fn modules_for_share(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        self.modules(&[self.wanted_for_share, names].concat())
    }

    /// The same, for the modules `names`.
    ///
    /// # Errors
    /// The kernel has no such driver.
    pub(super) fn modules(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        let root = self.modules_root()?;
        let mut order: Vec<PathBuf> = Vec::new();
        for name in names {
            for path in self.depends(root.path(), name)? {
                // The root goes when we return, the modules stay where they are.
                let path = fs::canonicalize(&path)
                    .with_context(|| format!("find the module {}", path.display()))?;
                if !order.contains(&path) {
                    order.push(path);
                }
            }
        }
        Ok(order)
    }

    fn in_boot(release: &str) -> Self {
        Self::below(Path::new("/"), release)
    }

    fn below(root: &Path, release: &str) -> Self {
        Self {
            image: root.join("boot").join(format!("vmlinuz-{release}")),
            release: release.to_owned(),
            modules: root.join("lib/modules").join(release),
            wanted: &["virtio_pci", "virtio_blk", "ext4"],
            wanted_for_share: &["virtio_pci", "virtiofs"],
        }
    }

    fn is_usable(&self) -> bool {
        self.modules_for_disk().is_ok()
    }

    /// A directory that has the modules where modprobe looks for them, below either of the names
    /// that its versions know.
    fn modules_root(&self) -> Result<tempfile::TempDir> {
        let root = tempfile::tempdir().context("make a directory for modprobe")?;
        for parent in ["lib/modules", "usr/lib/modules"] {
            let parent = root.path().join(parent);
            fs::create_dir_all(&parent)
                .and_then(|()| {
                    std::os::unix::fs::symlink(&self.modules, parent.join(&self.release))
                })
                .with_context(|| format!("link {} for modprobe", self.modules.display()))?;
        }
        Ok(root)
    }

    /// What has to be loaded for the module `name`, with itself, in order.
    fn depends(&self, root: &Path, name: &str) -> Result<Vec<PathBuf>> {
        let mut modprobe = Command::new(setup::system_program("modprobe"));
        modprobe.args(["--config", "/dev/null", "--set-version", &self.release, "--dirname"]);
        modprobe.arg(root).args(["--show-depends", name]);
        let listed = setup::output_of(&mut modprobe)
            .with_context(|| format!("find the driver {name} of kernel {}", self.release))?;
        Ok(insmod_paths(&listed))
    }
}

/// The paths in the lines `insmod PATH [PARAMETERS]`; the lines `builtin NAME` have none.
fn insmod_paths(listed: &str) -> Vec<PathBuf> {
    let lines = listed.lines().filter_map(|line| line.strip_prefix("insmod "));
    lines.filter_map(|rest| rest.split(' ').next()).map(PathBuf::from).collect()
}

/// The releases of the images `vmlinuz-RELEASE` in a directory; none if there is no directory.
fn installed_releases(boot: &Path) -> Result<Vec<String>> {
    if !boot.is_dir() {
        return Ok(Vec::new());
    }
    let mut releases = Vec::new();
    for entry in fs::read_dir(boot).with_context(|| format!("list {}", boot.display()))? {
        let name = entry.with_context(|| format!("list {}", boot.display()))?.file_name();
        if let Some(release) = name.to_str().and_then(|name| name.strip_prefix("vmlinuz-")) {
            releases.push(release.to_owned());
        }
    }
    Ok(releases)
}

/// Orders releases as people read them: numbers by value, so 6.9 comes before 6.10.
fn by_version(a: &str, b: &str) -> Ordering {
    pieces(a).cmp(&pieces(b))
}

/// The text as an alternation of other characters and numbers: `("", 6), (".", 10), ("-x", 0)`.
fn pieces(mut text: &str) -> Vec<(&str, u64)> {
    let mut pieces = Vec::new();
    while !text.is_empty() {
        let number = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
        let (letters, rest) = text.split_at(number);
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, rest) = rest.split_at(end);
        pieces.push((letters, digits.parse().unwrap_or(0)));
        text = rest;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_ordered_by_number_not_by_letter() {
        let mut releases = ["6.9.0-1-amd64", "6.10.3-1-amd64", "6.1.0-56-amd64"];

        releases.sort_by(|a, b| by_version(b, a));

        assert_eq!(releases, ["6.10.3-1-amd64", "6.9.0-1-amd64", "6.1.0-56-amd64"]);
    }

    #[test]
    fn modprobe_lines_give_paths_and_built_in_drivers_none() {
        let listed = "insmod /lib/modules/6/virtio.ko.zst \nbuiltin ext4\ninsmod /lib/a.ko x=1\n";

        assert_eq!(
            insmod_paths(listed),
            [PathBuf::from("/lib/modules/6/virtio.ko.zst"), PathBuf::from("/lib/a.ko")]
        );
    }
}

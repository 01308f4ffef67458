// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A disk with programs of the host that a guest is to run, each with its libraries.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::setup;

/// An image with a file system: to be mounted in a guest and, with that as its root, run from.
#[derive(Debug)]
pub struct Tools {
    path: PathBuf,
}

impl Tools {
    /// Makes the image at `path`, with these programs in its `/bin`.
    ///
    /// # Errors
    /// A program is missing or is no dynamic one, or the image can't be written.
    pub fn create(path: PathBuf, programs: &[&str]) -> Result<Self> {
        let act = || format!("make a disk with {programs:?}");
        let tree = tempfile::tempdir().with_context(act)?;
        let len = plant(tree.path(), programs).with_context(act)?;
        // What the file system wants for itself, and some more.
        let len = len * 5 / 4 + (16 << 20);
        fs::File::create(&path).and_then(|image| image.set_len(len)).with_context(act)?;
        let mut mke2fs = Command::new(setup::system_program("mke2fs"));
        mke2fs.args(["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0", "-d"]);
        setup::output_of(mke2fs.arg(tree.path()).arg(&path)).with_context(act)?;
        Ok(Self { path })
    }

    /// Where the image is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes the directory tree; returns how many bytes its files have.
fn plant(root: &Path, programs: &[&str]) -> Result<u64> {
    for dir in ["bin", "dev", "proc", "sys", "tmp"] {
        fs::create_dir(root.join(dir)).with_context(|| format!("make the directory {dir}"))?;
    }
    install(root, programs)
}

/// Puts programs of the host into the `bin` of a directory tree, and their libraries beside it; returns how
/// many bytes these are.
pub(super) fn install(root: &Path, programs: &[&str]) -> Result<u64> {
    fs::create_dir(root.join("lib")).context("make the directory lib")?;
    symlink("lib", root.join("lib64")).context("link the directory lib64")?;
    let mut len = 0;
    let mut libraries = BTreeSet::new();
    for name in programs {
        let program = setup::system_program(name);
        len += copy(&program, &root.join("bin").join(name))?;
        let listed = setup::output_of(Command::new("ldd").arg(&program))?;
        libraries.extend(paths(&listed).map(PathBuf::from));
    }
    for library in libraries {
        let name = library.file_name().context("read the name of a library")?;
        len += copy(&library, &root.join("lib").join(name))?;
    }
    Ok(len)
}

fn copy(from: &Path, to: &Path) -> Result<u64> {
    fs::copy(from, to).with_context(|| format!("copy {}", from.display()))
}

/// The paths in what ldd says: `libc.so.6 => /lib/libc.so.6 (0x7f)`, and the loader's alone.
fn paths(listed: &str) -> impl Iterator<Item = &str> {
    let words = listed.lines().map(str::split_whitespace);
    words.filter_map(|mut words| words.find(|word| word.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_loader_are_found_in_what_ldd_says() {
        let listed = "\tlinux-vdso.so.1 (0x7ffd)\n\
            \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x7f)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x7f)\n";
        let found: Vec<&str> = paths(listed).collect();
        assert_eq!(found, ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Another file system that the host has mounted in the shared folder.

use std::fs;
use std::process::Command;

use tempfile::TempDir;
use vhost_user_tests::fs::client::{Entry, New};
use vhost_user_tests::fs::share::new_folder;
use vhost_user_tests::fs::wire::{ROOT, init};
use vhost_user_tests::fs::{Bridge, Shared};
use vhost_user_tests::prelude::Daemon;

/// FUSE_ATTR_SUBMOUNT.
const SUBMOUNT: u32 = 1;

fn mount(words: &[&str]) -> bool {
    Command::new(words[0]).args(&words[1..]).status().expect("run it").success()
}

/// A folder with a file system in memory at `inner`, for the calling thread.
fn folder() -> Option<TempDir> {
    // Whoever can have a mount of its own can have this one.
    if !Bridge::can_be() {
        return None;
    }
    let folder = new_folder();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).expect("make a folder");
    let inner_path = inner.to_str().expect("a path in UTF-8");
    assert!(mount(&["mount", "-t", "tmpfs", "tests", inner_path]), "mount a file system");
    fs::create_dir(inner.join("folder")).expect("make a folder");
    fs::write(inner.join("folder/file"), "inside").expect("write a file");
    Some(folder)
}

/// Takes the file system away, when nobody uses it.
fn unmounted(it: &Shared) -> bool {
    mount(&["umount", it.path("inner").to_str().expect("a path in UTF-8")])
}

fn shared(arguments: &[&str]) -> Option<Shared> {
    let folder = folder()?;
    let launch = Daemon::fs().share(folder.path()).args(arguments);
    Some(Shared::of(launch, folder))
}

fn read(it: &mut Shared, file: Entry) -> Vec<u8> {
    let fh = it.fs.open(file.node, libc::O_RDONLY).expect("a file that opens").fh;
    let bytes = it.fs.read(file.node, fh, 0, 100).expect("bytes of a file");
    it.fs.release(file.node, fh).expect("a handle that is released");
    bytes
}

#[test]
fn file_system_in_the_share_is_told_and_its_files_are_found() {
    for arguments in [&[][..], &["--inode-file-handles=never"], &["--sandbox", "none"]] {
        let Some(mut it) = shared(arguments) else { return };
        assert_ne!(it.fs.agreed() & init::SUBMOUNTS, 0, "submounts are agreed on");
        let inner = it.fs.lookup(ROOT, "inner").unwrap();
        assert_eq!(inner.attr.flags & SUBMOUNT, SUBMOUNT, "with {arguments:?}");
        let folder = it.fs.lookup(inner.node, "folder").unwrap();
        assert_eq!(folder.attr.flags & SUBMOUNT, 0, "with {arguments:?}");
        let file = it.fs.lookup(folder.node, "file").unwrap();
        assert_eq!(read(&mut it, file), b"inside");
        it.fs.create(inner.node, "new", New::default()).unwrap();
        assert_eq!(it.fs.list(inner.node), Ok(vec!["folder".to_owned(), "new".to_owned()]));
        assert_eq!(it.fs.link(file.node, ROOT, "other").map(drop), Err(libc::EXDEV));
    }
}

#[test]
fn file_system_in_the_share_is_not_told_where_that_is_refused() {
    let Some(mut it) = shared(&["--no-announce-submounts"]) else { return };
    let inner = it.fs.lookup(ROOT, "inner").unwrap();
    assert_eq!(inner.attr.flags & SUBMOUNT, 0);
    let file = it.fs.walk(inner.node, "folder/file").unwrap();
    assert_eq!(read(&mut it, file), b"inside");
}

#[test]
fn file_system_of_which_nothing_is_known_can_be_unmounted() {
    for arguments in [["--sandbox", "none"], ["--sandbox", "chroot"]] {
        let Some(mut it) = shared(&arguments) else { return };
        let inner = it.fs.lookup(ROOT, "inner").unwrap().node;
        let folder = it.fs.lookup(inner, "folder").unwrap().node;
        let file = it.fs.lookup(folder, "file").unwrap();
        assert_eq!(read(&mut it, file), b"inside");
        it.fs.batch_forget(&[(file.node, 1), (folder, 1), (inner, 1)]);
        assert!(unmounted(&it), "nobody uses it with {arguments:?}");
        assert_eq!(it.fs.list(ROOT), Ok(vec!["inner".to_owned()]));
        let inner = it.fs.lookup(ROOT, "inner").unwrap();
        assert_eq!((inner.attr.flags & SUBMOUNT, it.fs.list(inner.node)), (0, Ok(Vec::new())));
    }
}

#[test]
fn file_system_without_handles_is_refused_where_they_are_mandatory() {
    if !Bridge::can_be() {
        return;
    }
    let folder = new_folder();
    let [inner, one, two] = ["inner", "one", "two"].map(|name| folder.path().join(name));
    for folder in [&inner, &one, &two] {
        fs::create_dir(folder).expect("make a folder");
    }
    let lower = format!("lowerdir={}:{}", one.display(), two.display());
    let inner = inner.to_str().expect("a path in UTF-8");
    assert!(mount(&["mount", "-t", "overlay", "tests", "-o", &lower, inner]), "mount an overlay");
    let launch = Daemon::fs().share(folder.path()).arg("--inode-file-handles=mandatory");
    let mut it = Shared::of(launch, folder);
    for _ in 0..2 {
        assert_eq!(it.fs.lookup(ROOT, "inner").map(drop), Err(libc::EOPNOTSUPP));
    }
    it.fs.lookup(ROOT, "one").expect("a folder of the file system that is shared");
    let said = "file handles are mandatory, and cannot be opened there";
    assert!(it.daemon.log().has(said));
    assert_eq!(it.daemon.log().count(said), 1);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! pjdfstest: what POSIX says of each system call. What a shared file system fails although ext4
//! passes it is on a list, each with a reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tempfile::TempDir;
use vhost_user_tests::fs::Mounted;
use vhost_user_tests::fs::share::tool;
use vhost_user_tests::prelude::Image;
use vhost_user_tests::private_mounts::PrivateMount;
use vhost_user_tests::requires;

use super::{fixture, run, said, succeed, word};

/// Exceptions that there may be at most.
const MOST: usize = 15;

/// What failed on the file system at `place`, and how many passed.
fn failed(pjdfstest: &Path, place: &Path) -> (BTreeSet<String>, usize) {
    let folder = TempDir::new().expect("make a folder");
    let config = fs::read_to_string(fixture("pjdfstest.toml")).expect("read the configuration");
    let remounting = config.replace("allow_remount = false", "allow_remount = true");
    assert_ne!(config, remounting, "the configuration says nothing of mounting again");
    let (mut all, mut passed) = (BTreeSet::new(), 0);
    for (config, pattern) in [(config, ""), (remounting, "erofs")] {
        let file = folder.path().join("pjdfstest.toml");
        fs::write(&file, config).expect("write the configuration");
        let mut words = vec!["-c", word(&file), "-p", word(place)];
        words.extend(Some(pattern).filter(|pattern| !pattern.is_empty()));
        let output = run(100, pjdfstest, &words);
        let text = said(&output);
        assert!(text.contains("Summary"), "pjdfstest did not come to its end: {text}");
        let lines = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        });
        for (name, verdict) in lines.filter(|(name, _)| name.contains("::")) {
            match verdict.as_str() {
                "FAILED" => _ = all.insert(name),
                "ok" => passed += 1,
                _ => (),
            }
        }
    }
    (all, passed)
}

/// The tests on the list.
fn exceptions() -> BTreeSet<String> {
    let list = fs::read_to_string(fixture("pjdfstest-exceptions")).expect("read the exceptions");
    let lines = list.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let names = lines.map(|line| {
        let (name, reason) = line.split_once(char::is_whitespace).expect("a reason");
        assert!(reason.trim().len() > 10, "{name} is an exception without a reason");
        name.to_owned()
    });
    names.collect()
}

/// Shares a folder with these arguments, and compares what fails with the list.
fn compare(arguments: &[&str]) {
    let Some(pjdfstest) = tool("pjdfstest") else { return };
    let Some(mounted) = Mounted::with(arguments) else { return };
    let (failed, passed) = failed(&pjdfstest, mounted.path());
    let exceptions = exceptions();
    assert!(exceptions.len() <= MOST, "{} exceptions", exceptions.len());
    assert_eq!(failed, exceptions, "what failed with {arguments:?}, and what may");
    assert!(passed >= 390 - exceptions.len(), "only {passed} passed with {arguments:?}");
}

#[test]
fn shared_folder_fails_what_is_on_the_list_and_nothing_else() {
    compare(&[]);
}

#[test]
fn shared_folder_without_any_cache_fails_nothing_else() {
    compare(&["--cache", "never"]);
}

#[test]
fn shared_folder_with_all_caches_fails_nothing_else() {
    compare(&["--cache", "always", "--writeback"]);
}

#[test]
fn shared_folder_with_lists_of_access_fails_nothing_else() {
    compare(&["--posix-acl", "--killpriv-v2"]);
}

#[test]
fn shared_folder_whose_nodes_are_descriptors_fails_nothing_else() {
    compare(&["--inode-file-handles=never", "--sandbox", "chroot"]);
}

#[test]
fn ext4_passes_all_of_it() {
    let Some(pjdfstest) = tool("pjdfstest") else { return };
    let image = Image::sparse(256 << 20);
    succeed(60, "mkfs.ext4", &["-q", "-F", word(image.path())]);
    let Some(device) = requires::loop_device(image.path()) else { return };
    let Some(mount) = PrivateMount::of_device(device, "ext4") else { return };
    let (failed, passed) = failed(&pjdfstest, mount.path());
    assert_eq!(failed, BTreeSet::new(), "what failed on ext4");
    assert!(passed >= 390, "only {passed} passed");
}

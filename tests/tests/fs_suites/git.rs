// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A repository that is cloned to a shared folder.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use vhost_user_tests::requires;

use super::{mounted, succeed, word};

/// A repository of some commits with some hundred files.
fn repository(folder: &Path) {
    let git = |words: &[&str]| {
        let name = ["-c", "user.name=tests", "-c", "user.email=tests@localhost", "-C"];
        succeed(60, "git", &[&name[..], &[word(folder)], words].concat())
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    for commit in 0..8 {
        for file in 0..50 {
            let place = folder.join(format!("{}/{}", file % 7, commit % 3));
            fs::create_dir_all(&place).expect("make a folder");
            let text: String = (0..=file * 40).map(|line| format!("{commit} {line}\n")).collect();
            fs::write(place.join(format!("{file}.txt")), text).expect("write a file");
        }
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message", &format!("commit {commit}")]);
    }
}

#[test]
fn clone_on_a_shared_folder_is_whole_and_can_be_worked_with() {
    if !requires::program("git") {
        return;
    }
    let Some(mounted) = mounted() else { return };
    let origin = TempDir::new().expect("make a folder");
    repository(origin.path());
    let clone = mounted.path().join("clone");
    let from = format!("file://{}", origin.path().display());
    succeed(60, "git", &["clone", "--quiet", &from, word(&clone)]);
    let git = |words: &[&str]| succeed(60, "git", &[&["-C", word(&clone)], words].concat());
    git(&["fsck", "--full", "--strict"]);
    assert_eq!(git(&["status", "--porcelain"]), "");
    git(&["checkout", "--quiet", "HEAD~5"]);
    git(&["checkout", "--quiet", "main"]);
    git(&["gc", "--quiet", "--prune=now"]);
    git(&["fsck", "--full", "--strict"]);
    assert_eq!(git(&["status", "--porcelain"]), "");
    // What the host has is what its client had.
    let there = mounted.folder.path().join("clone");
    let host = ["-c", "safe.directory=*", "-C", word(&there)];
    succeed(60, "git", &[&host[..], &["fsck", "--full", "--strict"]].concat());
    succeed(60, "diff", &["-r", "--exclude=.git", word(origin.path()), word(&there)]);
}

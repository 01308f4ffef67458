// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A tree of all kinds of files that is unpacked, renamed over, and in part removed: on a shared folder
//! it becomes what it does on a plain one.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;
use vhost_user_tests::fs::Mounted;

use super::{CACHE_MODES, succeed, word};

/// Folders of the tree, and files in each.
const FOLDERS: usize = 30;
const FILES: usize = 40;

/// The tree, packed as `tree.tar` in `folder`.
fn pack(folder: &Path) {
    let tree = folder.join("tree");
    for number in 0..FOLDERS {
        let place = tree.join(format!("{}/folder {number}", number % 5));
        fs::create_dir_all(&place).expect("make a folder");
        for file in 0..FILES {
            let path = place.join(format!("{file}"));
            fs::write(&path, vec![u8::try_from(file).expect("a byte"); file * file * 11])
                .expect("write");
            let mode = [0o644, 0o600, 0o755, 0o4755, 0o2750, 0o000][file % 6];
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("set the mode");
        }
        symlink("../nowhere", place.join("link")).expect("make a link");
        fs::hard_link(place.join("3"), place.join("once more")).expect("link a file");
        let sparse = fs::File::create(place.join("sparse")).expect("make a file");
        sparse.write_all_at(b"end", 1 << 20).expect("write behind a hole");
    }
    fs::write(tree.join("\u{fc}ml\u{e4}ut \n name"), "x").expect("write a file");
    succeed(60, "mkfifo", &[word(&tree.join("fifo"))]);
    let packed = folder.join("tree.tar");
    let tar = ["--sparse", "-C", word(folder), "-cf", word(&packed), "tree"];
    succeed(60, "tar", &tar);
}

/// Unpacks the tree at `place`, does things to it, and says what is there then.
fn work(tar: &Path, place: &Path) -> String {
    succeed(60, "tar", &["-C", word(place), "-xpf", word(tar)]);
    let tree = place.join("tree");
    for number in 0..FOLDERS {
        let folder = tree.join(format!("{}/folder {number}", number % 5));
        for file in (0..FILES).step_by(4) {
            let [from, to] = [file, file + 1].map(|file| folder.join(file.to_string()));
            fs::rename(from, to).expect("rename over a file");
        }
        for file in (2..FILES).step_by(4) {
            fs::remove_file(folder.join(file.to_string())).expect("remove a file");
        }
        let moved = tree.join(format!("{}/moved {number}", (number + 1) % 5));
        fs::rename(&folder, moved).expect("rename a folder");
    }
    fs::remove_dir_all(tree.join("2")).expect("remove a tree");
    listing(place)
}

/// Type, mode, owners, links, length and time of everything but folders' lengths; where links lead;
/// and the sums of all files.
fn listing(place: &Path) -> String {
    let find = "find . -type d -printf '%p %y %m %U:%G %n\\n' -o -printf \
                '%p %y %m %U:%G %n %s %Ts %l\\n' | sort; \
                find . -type f -print0 | sort -z | xargs -0 sha256sum";
    succeed(60, "sh", &["-c", &format!("cd '{}' && {find}", word(place))])
}

fn compare(mode: usize) {
    let (arguments, _) = CACHE_MODES[mode];
    let Some(mounted) = Mounted::with(arguments) else { return };
    let (packed, plain) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    pack(packed.path());
    let tar = packed.path().join("tree.tar");
    // The mode of the topmost folder is in the list, too.
    fs::set_permissions(plain.path(), Permissions::from_mode(0o755)).expect("set the mode");
    let (expected, there) = (work(&tar, plain.path()), work(&tar, mounted.path()));
    assert!(expected == there, "{}", difference(&expected, &there));
    let folder = mounted.folder.path().to_owned();
    drop(mounted.bridge);
    let host = listing(&folder);
    assert!(expected == host, "on the host: {}", difference(&expected, &host));
}

/// The first lines that differ.
fn difference(expected: &str, found: &str) -> String {
    let lines = expected.lines().zip(found.lines()).filter(|(expected, found)| expected != found);
    let lines = lines.take(5).map(|(expected, found)| format!("\n{expected}\n{found}"));
    format!("{} and {} bytes:{}", expected.len(), found.len(), lines.collect::<String>())
}

#[test]
fn tree_without_any_cache_is_the_same_as_on_a_plain_folder() {
    compare(0);
}

#[test]
fn tree_with_cache_auto_is_the_same_as_on_a_plain_folder() {
    compare(1);
}

#[test]
fn tree_with_cache_always_is_the_same_as_on_a_plain_folder() {
    compare(3);
}

#[test]
fn tree_that_is_written_back_late_is_the_same_as_on_a_plain_folder() {
    compare(4);
}

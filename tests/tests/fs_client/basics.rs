// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What each request does, looked at from the host.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use vhost_user_tests::fs::Shared;
use vhost_user_tests::fs::client::{Caller, Change, New, Range, Time};
use vhost_user_tests::fs::wire::{ROOT, init};

#[test]
fn file_that_is_made_and_written_is_there_on_the_host() {
    let mut it = Shared::new();
    let (entry, opened) = it.fs.create(ROOT, "file", New::default()).unwrap();
    assert_eq!(it.fs.write(entry.node, opened.fh, 3, b"bytes"), Ok(5));
    assert_eq!(it.fs.read(entry.node, opened.fh, 0, 100), Ok(b"\0\0\0bytes".to_vec()));
    it.fs.flush(entry.node, opened.fh, 1).unwrap();
    it.fs.release(entry.node, opened.fh).unwrap();
    assert_eq!(fs::read(it.path("file")).unwrap(), b"\0\0\0bytes");
    assert_eq!(fs::metadata(it.path("file")).unwrap().permissions().mode(), 0o100_644);
}

#[test]
fn folder_is_listed_with_all_that_is_in_it() {
    let mut it = Shared::new();
    let mut expected: Vec<String> = (0..500).map(|number| format!("a name, {number}")).collect();
    for name in &expected {
        fs::write(it.path(name), "").unwrap();
    }
    expected.sort();
    assert_eq!(it.fs.list(ROOT), Ok(expected));
}

#[test]
fn listing_with_attributes_has_those_of_each_file() {
    let mut it = Shared::new();
    fs::write(it.path("file"), "four").unwrap();
    fs::create_dir(it.path("folder")).unwrap();
    let fh = it.fs.opendir(ROOT).unwrap().fh;
    let names = it.fs.readdirplus(ROOT, fh, 0, 4096).unwrap();
    let file = names.iter().find(|name| name.name == b"file").expect("the file");
    let entry = file.entry.expect("what is known of the file");
    let host = fs::metadata(it.path("file")).unwrap();
    assert_eq!((entry.attr.ino, entry.attr.size), (host.ino(), 4));
    assert_eq!(it.fs.lookup(ROOT, "file").unwrap().node, entry.node);
    it.fs.releasedir(ROOT, fh).unwrap();
}

#[test]
fn links_and_names_are_made_moved_and_removed() {
    let mut it = Shared::new();
    let folder = it.fs.mkdir(ROOT, "folder", 0o750).unwrap().node;
    let link = it.fs.symlink(folder, "link", "to/nowhere").unwrap().node;
    assert_eq!(it.fs.readlink(link), Ok(b"to/nowhere".to_vec()));
    let fifo = it.fs.mknod(folder, "fifo", libc::S_IFIFO | 0o600, 0).unwrap().node;
    assert_eq!(it.fs.link(fifo, ROOT, "other").unwrap().node, fifo);
    assert_eq!(fs::metadata(it.path("other")).unwrap().nlink(), 2);
    it.fs.rename((ROOT, "other"), (folder, "moved")).unwrap();
    assert_eq!(it.fs.list(folder), Ok(["fifo", "link", "moved"].map(String::from).to_vec()));
    assert_eq!(it.fs.rmdir(ROOT, "folder"), Err(libc::ENOTEMPTY));
    for name in ["fifo", "link", "moved"] {
        it.fs.unlink(folder, name).unwrap();
    }
    it.fs.rmdir(ROOT, "folder").unwrap();
    assert_eq!(it.fs.list(ROOT), Ok(Vec::new()));
}

#[test]
fn rename_without_replacing_refuses_what_is_there_and_exchange_swaps_it() {
    let mut it = Shared::new();
    fs::write(it.path("one"), "1").unwrap();
    fs::write(it.path("two"), "2").unwrap();
    let renamed = it.fs.rename_with((ROOT, "one"), (ROOT, "two"), libc::RENAME_NOREPLACE);
    assert_eq!(renamed, Err(libc::EEXIST));
    it.fs.rename_with((ROOT, "one"), (ROOT, "two"), libc::RENAME_EXCHANGE).unwrap();
    assert_eq!(fs::read(it.path("one")).unwrap(), b"2");
}

#[test]
fn attributes_are_set_to_what_is_said() {
    let mut it = Shared::new();
    fs::write(it.path("file"), "0123456789").unwrap();
    let node = it.fs.lookup(ROOT, "file").unwrap().node;
    let time = Time::At(1_000_000_000, 123_456_789);
    let change = Change { mode: Some(0o640), uid: Some(12), gid: Some(34), ..Change::default() };
    it.fs.setattr(node, change).unwrap();
    let change = Change { size: Some(4), ..Change::default() };
    it.fs.setattr(node, change).unwrap();
    let change = Change { atime: Some(time), mtime: Some(time), ..Change::default() };
    let attr = it.fs.setattr(node, change).unwrap();
    assert_eq!(attr.mtime, (1_000_000_000, 123_456_789));
    let host = fs::metadata(it.path("file")).unwrap();
    assert_eq!((host.uid(), host.gid(), host.size()), (12, 34, 4));
    assert_eq!((host.mtime(), host.mtime_nsec()), (1_000_000_000, 123_456_789));
    assert_eq!(host.mode() & 0o7777, 0o640);
}

#[test]
fn file_made_by_a_user_is_that_users() {
    let mut it = Shared::new();
    fs::set_permissions(it.folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    it.fs.caller = Caller { uid: 1234, gid: 5678, pid: 9 };
    it.fs.create(ROOT, "file", New::default()).unwrap();
    it.fs.mkdir(ROOT, "folder", 0o755).unwrap();
    it.fs.symlink(ROOT, "link", "x").unwrap();
    it.fs.mknod(ROOT, "fifo", libc::S_IFIFO | 0o644, 0).unwrap();
    for name in ["file", "folder", "link", "fifo"] {
        let host = fs::symlink_metadata(it.path(name)).unwrap();
        assert_eq!((host.uid(), host.gid()), (1234, 5678), "{name}");
    }
}

#[test]
fn extended_attributes_are_set_listed_and_removed() {
    let mut it = Shared::with(&["--xattr"]);
    fs::write(it.path("file"), "").unwrap();
    let node = it.fs.lookup(ROOT, "file").unwrap().node;
    it.fs.setxattr(node, "user.one", "value", 0).unwrap();
    assert_eq!(it.fs.getxattr(node, "user.one", 100), Ok(b"value".to_vec()));
    assert_eq!(it.fs.getxattr(node, "user.one", 2), Err(libc::ERANGE));
    assert_eq!(it.fs.getxattr(node, "user.one", 0), Ok(vec![5, 0, 0, 0, 0, 0, 0, 0]));
    let names = it.fs.listxattr(node, 1000).unwrap();
    assert!(names.windows(9).any(|name| name == b"user.one\0"), "{names:?}");
    it.fs.removexattr(node, "user.one").unwrap();
    assert_eq!(it.fs.getxattr(node, "user.one", 100), Err(libc::ENODATA));
}

#[test]
fn file_is_copied_allocated_and_searched_for_holes() {
    let mut it = Shared::new();
    let (from, opened) = it.fs.create(ROOT, "from", New::default()).unwrap();
    let from = Range { node: from.node, fh: opened.fh, offset: 0 };
    let (to, opened) = it.fs.create(ROOT, "to", New::default()).unwrap();
    let to = Range { node: to.node, fh: opened.fh, offset: 2 };
    it.fs.write(from.node, from.fh, 0, b"0123456789").unwrap();
    assert_eq!(it.fs.copy_file_range(from, to, 4), Ok(4));
    assert_eq!(fs::read(it.path("to")).unwrap(), b"\0\x000123");
    it.fs.fallocate(to, 100, 0).unwrap();
    assert_eq!(fs::metadata(it.path("to")).unwrap().len(), 102);
    it.fs.write(to.node, to.fh, 1 << 20, b"x").unwrap();
    assert_eq!(it.fs.lseek(to, libc::SEEK_DATA), Ok(2));
    let hole = it.fs.lseek(to, libc::SEEK_HOLE).unwrap();
    assert!(hole < 1 << 20, "the hole begins at {hole}");
    it.fs.fsync(to.node, to.fh, true).unwrap();
}

#[test]
fn file_system_says_its_size_and_is_written_out() {
    let mut it = Shared::new();
    let statfs = it.fs.statfs(ROOT).unwrap();
    assert!(statfs.blocks > 0 && statfs.namelen == 255, "{statfs:?}");
    it.fs.syncfs().unwrap();
    it.fs.access(ROOT, 0).unwrap();
}

#[test]
fn node_that_was_forgotten_is_not_known_any_more() {
    let mut it = Shared::new();
    fs::write(it.path("one"), "1").unwrap();
    fs::write(it.path("two"), "2").unwrap();
    let [one, two] = ["one", "two"].map(|name| it.fs.lookup(ROOT, name).unwrap().node);
    assert_eq!(it.fs.lookup(ROOT, "one").unwrap().node, one);
    it.fs.forget(one, 1);
    assert!(it.fs.getattr(one).is_ok(), "one of two was forgotten");
    it.fs.batch_forget(&[(one, 1), (two, 1)]);
    for node in [one, two] {
        assert!(it.fs.getattr(node).is_err(), "all were forgotten");
    }
}

#[test]
fn file_without_a_name_gets_one_by_a_link() {
    let mut it = Shared::new();
    let new = New { flags: libc::O_RDWR, ..New::default() };
    let (entry, opened) = it.fs.tmpfile(ROOT, new).unwrap();
    it.fs.write(entry.node, opened.fh, 0, b"hidden").unwrap();
    assert_eq!(it.fs.list(ROOT), Ok(Vec::new()));
    it.fs.link(entry.node, ROOT, "shown").unwrap();
    it.fs.release(entry.node, opened.fh).unwrap();
    assert_eq!(fs::read(it.path("shown")).unwrap(), b"hidden");
}

#[test]
fn statx_says_when_a_file_was_made() {
    let mut it = Shared::new();
    fs::write(it.path("file"), "four").unwrap();
    let node = it.fs.lookup(ROOT, "file").unwrap().node;
    let statx = it.fs.statx(node, None, libc::STATX_BASIC_STATS | libc::STATX_BTIME).unwrap();
    let host = fs::metadata(it.path("file")).unwrap();
    assert_eq!((statx.ino, statx.size), (host.ino(), 4));
    let made = host.created().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(statx.btime, (made.as_secs(), made.subsec_nanos()));
}

#[test]
fn group_of_the_caller_decides_what_it_may() {
    let mut it = Shared::new();
    assert_ne!(it.fs.agreed() & init::CREATE_SUPP_GROUP, 0, "groups are sent");
    fs::create_dir(it.path("folder")).unwrap();
    std::os::unix::fs::chown(it.path("folder"), Some(0), Some(777)).unwrap();
    fs::set_permissions(it.path("folder"), fs::Permissions::from_mode(0o770)).unwrap();
    let folder = it.fs.lookup(ROOT, "folder").unwrap().node;
    it.fs.caller = Caller { uid: 1234, gid: 5678, pid: 9 };
    assert_eq!(it.fs.mkdir(folder, "without", 0o755).map(drop), Err(libc::EACCES));
    it.fs.groups = vec![777];
    it.fs.mkdir(folder, "with", 0o755).unwrap();
}

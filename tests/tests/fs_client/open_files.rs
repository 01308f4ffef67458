// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A file that is open and has no name any more: it is there for whoever has its handle.

use std::fs;

use vhost_user_tests::fs::Shared;
use vhost_user_tests::fs::client::{Change, New, Range};
use vhost_user_tests::fs::wire::ROOT;
use vhost_user_tests::requires;

/// More than a daemon that is told to keeps descriptors of.
const OTHERS: usize = 200;

/// Has the host forget what it knows of files, and the daemon look at many others.
fn drop_caches(it: &mut Shared) {
    // Whoever may not, has the other way only.
    let dropped = fs::write("/proc/sys/vm/drop_caches", "2");
    assert!(dropped.is_ok() || !requires::root(), "drop the caches of the host");
    for number in 0..OTHERS {
        let name = format!("other {number}");
        fs::write(it.path(&name), "").expect("write a file");
        let node = it.fs.lookup(ROOT, &name).expect("a name that is there").node;
        it.fs.getattr(node).expect("attributes");
    }
}

fn use_without_name(arguments: &[&str]) {
    let mut it = Shared::with(arguments);
    let (entry, opened) = it.fs.create(ROOT, "file", New::default()).expect("a file that is made");
    let (node, fh) = (entry.node, opened.fh);
    it.fs.write(node, fh, 0, b"0123456789").expect("bytes that are written");
    it.fs.unlink(ROOT, "file").expect("a name that is removed");
    drop_caches(&mut it);
    let attr = it.fs.getattr_open(node, fh).expect("a file that opens");
    assert_eq!((attr.size, attr.nlink, attr.ino), (10, 0, entry.attr.ino));
    assert_eq!(it.fs.read(node, fh, 5, 10), Ok(b"56789".to_vec()));
    assert_eq!(it.fs.write(node, fh, 8, b"xyz"), Ok(3));
    let shorter = Change { fh: Some(fh), size: Some(9), ..Change::default() };
    assert_eq!(it.fs.setattr(node, shorter).expect("attributes that are set").size, 9);
    assert_eq!(it.fs.read(node, fh, 7, 10), Ok(b"7x".to_vec()));
    it.fs.fallocate(Range { node, fh, offset: 0 }, 20, 0).expect("room for a file");
    it.fs.fsync(node, fh, false).expect("a file that is written out");
    assert_eq!(it.fs.getattr(node).expect("attributes").size, 20);
    it.fs.flush(node, fh, 1).expect("a flush");
    it.fs.release(node, fh).expect("a handle that is released");
    it.fs.forget(node, 1);
    assert!(it.fs.getattr(node).is_err(), "a file that nobody has");
}

#[test]
fn file_without_a_name_is_used_by_its_handle() {
    use_without_name(&[]);
}

#[test]
fn file_without_a_name_is_used_by_its_handle_where_descriptors_are_few() {
    use_without_name(&["--inode-fd-cache", "16"]);
}

#[test]
fn file_without_a_name_is_used_by_its_handle_where_descriptors_are_kept() {
    use_without_name(&["--inode-file-handles=never"]);
}

#[test]
fn file_without_a_name_is_used_by_its_handle_when_all_is_cached() {
    use_without_name(&["--cache", "always"]);
}

#[test]
fn folder_that_was_removed_is_there_for_who_has_it_open() {
    let mut it = Shared::new();
    let folder = it.fs.mkdir(ROOT, "folder", 0o755).unwrap().node;
    let fh = it.fs.opendir(folder).unwrap().fh;
    it.fs.rmdir(ROOT, "folder").unwrap();
    drop_caches(&mut it);
    assert_eq!(it.fs.getattr_open(folder, fh).map(|attr| attr.nlink), Ok(0));
    // As getdents64(2) has it.
    assert_eq!(it.fs.readdir(folder, fh, 0, 4096), Err(libc::ENOENT));
    assert_eq!(it.fs.create(folder, "file", New::default()).map(drop), Err(libc::ENOENT));
    it.fs.releasedir(folder, fh).unwrap();
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Files that are no files: a driver makes a device and a pipe, and opens them raw. Nothing is opened
//! and nothing waits.

use vhost_user_tests::fs::Shared;
use vhost_user_tests::fs::client::{Change, New, Range};
use vhost_user_tests::fs::wire::ROOT;
use vhost_user_tests::requires;

/// What else than a file there can be: a name, the type with the mode, the device.
const SPECIAL: [(&str, u32, u32); 4] = [
    ("null", libc::S_IFCHR | 0o666, 1 << 8 | 3),
    ("disk", libc::S_IFBLK | 0o666, 7 << 8),
    ("pipe", libc::S_IFIFO | 0o666, 0),
    ("socket", libc::S_IFSOCK | 0o666, 0),
];

fn open_all(arguments: &[&str]) {
    if !requires::root() {
        return;
    }
    let mut it = Shared::with(&[&["--sandbox", "none"], arguments].concat());
    for (name, mode, device) in SPECIAL {
        let entry = it.fs.mknod(ROOT, name, mode, device).expect("a node that is made");
        assert_eq!(entry.attr.mode & libc::S_IFMT, mode & libc::S_IFMT, "{name}");
        let before = it.daemon.descriptors();
        for flags in [
            libc::O_RDONLY,
            libc::O_WRONLY,
            libc::O_RDWR,
            libc::O_RDWR | libc::O_NONBLOCK,
            libc::O_WRONLY | libc::O_TRUNC,
            libc::O_PATH,
            libc::O_RDWR | libc::O_CREAT,
        ] {
            let opened = it.fs.open(entry.node, flags);
            assert!(opened.is_err(), "{name} was opened with {flags:#o}: {opened:?}");
        }
        assert!(it.fs.opendir(entry.node).is_err(), "{name} was opened as a folder");
        // By its name, as a file that was made.
        for flags in [libc::O_RDWR, libc::O_RDONLY, libc::O_WRONLY | libc::O_TRUNC] {
            let new = New { flags, ..New::default() };
            assert!(it.fs.create(ROOT, name, new).is_err(), "{name} was made with {flags:#o}");
        }
        let shorter = Change { size: Some(0), ..Change::default() };
        assert!(it.fs.setattr(entry.node, shorter).is_err(), "{name} was made shorter");
        for fh in [0, 1, 2] {
            let at = Range { node: entry.node, fh, offset: 0 };
            assert!(it.fs.read(entry.node, fh, 0, 16).is_err(), "{name} was read");
            assert!(it.fs.copy_file_range(at, at, 16).is_err(), "{name} was copied");
        }
        it.daemon.expect_descriptors(before);
        it.fs.getattr(ROOT).expect("attributes");
    }
    // They are files of a folder as any other.
    let mut names = SPECIAL.map(|(name, _, _)| name.to_owned()).to_vec();
    names.sort();
    assert_eq!(it.fs.list(ROOT), Ok(names));
}

#[test]
fn devices_and_pipes_are_made_and_never_opened() {
    open_all(&[]);
}

#[test]
fn devices_and_pipes_are_never_opened_where_descriptors_are_kept() {
    open_all(&["--inode-file-handles=never"]);
}

#[test]
fn pipe_that_takes_the_place_of_a_file_is_not_opened() {
    let mut it = Shared::with(&["--sandbox", "none"]);
    std::fs::write(it.path("file"), "x").unwrap();
    let file = it.fs.lookup(ROOT, "file").unwrap().node;
    std::fs::remove_file(it.path("file")).unwrap();
    it.fs.mknod(ROOT, "file", libc::S_IFIFO | 0o666, 0).unwrap();
    // Either what had the name is opened, or nothing.
    if let Ok(opened) = it.fs.open(file, libc::O_RDONLY) {
        assert_eq!(it.fs.read(file, opened.fh, 0, 10), Ok(b"x".to_vec()));
    }
    let pipe = it.fs.lookup(ROOT, "file").unwrap();
    assert_eq!(pipe.attr.mode & libc::S_IFMT, libc::S_IFIFO);
    assert!(it.fs.open(pipe.node, libc::O_RDONLY).is_err(), "a pipe was opened");
}

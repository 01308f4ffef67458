// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use super::*;

#[test]
fn directories_links_and_special_files_are_made() {
    let Some(share) = Share::new(Options::default()) else { return };
    let fs = &share.fs;
    let directory = fs.make_directory(&NOW, ROOT, called(c"d"), &creating(0o1755)).unwrap();
    assert_eq!(directory.attributes.attr.mode, libc::S_IFDIR | 0o1755);
    let link = fs.make_symlink(&NOW, ROOT, called(c"l"), c"../x", &creating(0)).unwrap();
    assert_eq!(fs.read_link(&NOW, link.inode), Ok(b"../x".to_vec()));
    let node = |name, mode, device| {
        fs.make_node(&NOW, directory.inode, called(name), device, &creating(mode))
    };
    node(c"fifo", libc::S_IFIFO | 0o600, 0).unwrap();
    node(c"file", libc::S_IFREG | 0o600, 0).unwrap();
    assert!(share.path("d/fifo").metadata().unwrap().file_type().is_fifo());
    assert!(share.path("d/file").metadata().unwrap().is_file());
    // major 259, minor 0x12345, as the kernel encodes them
    let encoded = 259 << 8 | 0x45 | 0x123 << 20;
    let device = node(c"disk", libc::S_IFBLK | 0o600, encoded).unwrap();
    assert_eq!(device.attributes.attr.rdev, encoded);
    let host = share.path("d/disk").metadata().unwrap().rdev();
    assert_eq!((libc::major(host), libc::minor(host)), (259, 0x12345));
}

#[test]
fn names_move_and_change_places() {
    let Some(share) = Share::new(Options::default()) else { return };
    fs::write(share.path("a"), "a").unwrap();
    fs::write(share.path("b"), "b").unwrap();
    let (a, b) = ((ROOT, called(c"a")), (ROOT, called(c"b")));
    assert_eq!(
        share.fs.rename(&NOW, a, b, libc::RENAME_NOREPLACE),
        Err(Failure::Errno(libc::EEXIST))
    );
    share.fs.rename(&NOW, a, b, libc::RENAME_EXCHANGE).unwrap();
    assert_eq!(fs::read(share.path("a")).unwrap(), b"b");
    share.fs.rename(&NOW, a, b, 0).unwrap();
    assert_eq!(fs::read(share.path("b")).unwrap(), b"b");
    assert!(!share.path("a").exists());
    assert_eq!(share.fs.rename(&NOW, b, a, 1 << 5), Err(Failure::EINVAL));
}

#[test]
fn empty_directory_is_removed_and_no_other() {
    let Some(share) = Share::new(Options::default()) else { return };
    fs::create_dir_all(share.path("d/e")).unwrap();
    let full = share.fs.remove_directory(&NOW, ROOT, called(c"d"));
    assert_eq!(full, Err(Failure::Errno(libc::ENOTEMPTY)));
    assert_eq!(share.fs.unlink(&NOW, ROOT, called(c"d")), Err(Failure::Errno(libc::EISDIR)));
    fs::remove_dir(share.path("d/e")).unwrap();
    assert_eq!(share.fs.remove_directory(&NOW, ROOT, called(c"d")), Ok(()));
}

#[test]
fn file_that_is_there_is_opened_by_create_unless_it_must_be_new() {
    let Some(share) = Share::new(Options::default()) else { return };
    fs::write(share.path("a"), "there").unwrap();
    let exclusive = share.create("a", libc::O_RDWR | libc::O_EXCL);
    assert_eq!(exclusive.unwrap_err(), Failure::Errno(libc::EEXIST));
    let (entry, opened) = share.create("a", libc::O_RDWR).unwrap();
    assert_eq!(share.read(entry.inode, opened.handle, 0, 10).unwrap(), b"there");
    share.create("a", libc::O_RDWR | libc::O_TRUNC).unwrap();
    assert_eq!(fs::read(share.path("a")).unwrap(), b"");
}

#[test]
fn links_of_every_type_get_another_name() {
    let Some(share) = Share::new(Options::default()) else { return };
    let link = share.fs.make_symlink(&NOW, ROOT, called(c"l"), c"x", &creating(0)).unwrap();
    let again = share.fs.link(&NOW, link.inode, ROOT, called(c"m")).unwrap();
    assert_eq!(again.inode, link.inode);
    assert!(share.path("m").symlink_metadata().unwrap().is_symlink());
    let directory = share.fs.link(&NOW, ROOT, ROOT, called(c"n"));
    assert_eq!(directory.unwrap_err(), Failure::EPERM);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use super::*;
use crate::filesystem::Xattr;
use crate::passthrough::Wanted;

fn shared() -> Option<Share> {
    Share::new(Options { xattr: true, ..Options::default() })
}

#[test]
fn attributes_are_set_told_listed_and_removed() {
    let Some(share) = shared() else { return };
    let fs = &share.fs;
    let file = share.create("f", libc::O_RDWR).unwrap().0.inode;
    let link = fs.make_symlink(&NOW, ROOT, called(c"l"), c"/etc/passwd", &creating(0)).unwrap();
    let fifo = fs.make_node(&NOW, ROOT, called(c"p"), 0, &creating(libc::S_IFIFO)).unwrap();
    // Links and special files have no others.
    for (inode, name) in [
        (file, c"user.a"),
        (ROOT, c"user.a"),
        (link.inode, c"trusted.a"),
        (fifo.inode, c"trusted.a"),
    ] {
        fs.set_xattr(&NOW, inode, name, b"value", 0, false).unwrap();
        assert_eq!(fs.get_xattr(&NOW, inode, name, 0), Ok(Xattr::Size(5)));
        assert_eq!(fs.get_xattr(&NOW, inode, name, 100), Ok(Xattr::Value(b"value".to_vec())));
        assert_eq!(fs.get_xattr(&NOW, inode, name, 4), Err(Failure::ERANGE));
        let Ok(Xattr::Value(names)) = fs.list_xattrs(&NOW, inode, 1000) else { panic!("no list") };
        assert!(names.split(|byte| *byte == 0).any(|listed| listed == name.to_bytes()));
        let Ok(Xattr::Size(size)) = fs.list_xattrs(&NOW, inode, 0) else { panic!("no size") };
        assert_eq!(usize::try_from(size).unwrap(), names.len());
        assert_eq!(fs.list_xattrs(&NOW, inode, 3), Err(Failure::ERANGE));
        let exists = fs.set_xattr(&NOW, inode, name, b"", 1, false);
        assert_eq!(exists, Err(Failure::Errno(libc::EEXIST)));
        fs.remove_xattr(&NOW, inode, name).unwrap();
        let gone = fs.get_xattr(&NOW, inode, name, 100);
        assert_eq!(gone, Err(Failure::Errno(libc::ENODATA)));
    }
}

#[test]
fn attributes_are_off_unless_the_operator_says_so() {
    let Some(share) = Share::new(Options::default()) else { return };
    assert_eq!(share.fs.get_xattr(&NOW, ROOT, c"user.a", 10), Err(Failure::ENOSYS));
    assert_eq!(share.fs.list_xattrs(&NOW, ROOT, 10), Err(Failure::ENOSYS));
    assert_eq!(share.fs.set_xattr(&NOW, ROOT, c"user.a", b"", 0, false), Err(Failure::ENOSYS));
}

#[test]
fn enormous_size_allocates_no_more_than_there_can_be() {
    let Some(share) = shared() else { return };
    share.fs.set_xattr(&NOW, ROOT, c"user.a", b"1", 0, false).unwrap();
    let value = share.fs.get_xattr(&NOW, ROOT, c"user.a", u32::MAX);
    assert_eq!(value, Ok(Xattr::Value(b"1".to_vec())));
    assert!(share.fs.list_xattrs(&NOW, ROOT, u32::MAX).is_ok());
}

#[test]
fn lists_of_rights_are_for_who_honours_them() {
    let acl = c"system.posix_acl_access";
    let Some(share) = shared() else { return };
    assert_eq!(share.fs.get_xattr(&NOW, ROOT, acl, 100), Err(Failure::EOPNOTSUPP));
    let options = Options { xattr: true, posix_acl: Wanted::Always, ..Options::default() };
    let share = Share::new(options).unwrap();
    let there = share.fs.get_xattr(&NOW, ROOT, acl, 100);
    assert_eq!(there, Err(Failure::Errno(libc::ENODATA)));
    assert_eq!(share.fs.begin(InitFlags::NONE), Err(Failure::Errno(libc::EPROTO)));
}

#[test]
fn set_group_id_bit_goes_with_rights_that_are_no_members() {
    let options = Options { xattr: true, posix_acl: Wanted::Always, ..Options::default() };
    let Some(share) = Share::new(options) else { return };
    let file = share.create("f", libc::O_RDWR).unwrap().0.inode;
    // u::rwx, g::r-x, o::r-x, which are the permissions alone.
    let mut acl = 2u32.to_le_bytes().to_vec();
    for (tag, rights) in [(0x01u16, 7u16), (0x04, 5), (0x20, 5)] {
        acl.extend([tag.to_le_bytes(), rights.to_le_bytes(), [0xff; 2], [0xff; 2]].as_flattened());
    }
    let set = |gid, kill| {
        // In the group that the daemon itself is in.
        chown(share.path("f"), Some(1000), Some(0)).unwrap();
        fs::set_permissions(share.path("f"), PermissionsExt::from_mode(0o2755)).unwrap();
        let caller = Caller { uid: 1000, gid, pid: 1 };
        let context = Context { caller, may_wait: false };
        let name = c"system.posix_acl_access";
        share.fs.set_xattr(&context, file, name, &acl, 0, kill).unwrap();
        assert_eq!(crate::sys::thread::ids(), (0, 0));
        share.path("f").metadata().unwrap().mode() & 0o7777
    };
    assert_eq!(set(1000, true), 0o755);
    assert_eq!(set(Caller::NOBODY, true), 0o755);
    assert_eq!(set(1000, false), 0o2755);
}

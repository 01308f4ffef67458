// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use super::*;
use crate::passthrough::Wanted;

fn user(uid: u32, gid: u32) -> Context {
    Context { caller: Caller { uid, gid, pid: 1 }, may_wait: false }
}

fn open_to_all(share: &Share) {
    fs::set_permissions(share.path("."), PermissionsExt::from_mode(0o777)).unwrap();
}

#[test]
fn what_is_made_belongs_to_whoever_asks() {
    let Some(share) = Share::new(Options::default()) else { return };
    open_to_all(&share);
    let caller = user(1000, 2000);
    let flags = opening(libc::O_RDWR);
    let made = share.fs.create(&caller, ROOT, called(c"f"), flags, &creating(0o640));
    assert_eq!((made.unwrap().0.attributes.attr.uid), 1000);
    share.fs.make_directory(&caller, ROOT, called(c"d"), &creating(0o750)).unwrap();
    share.fs.make_symlink(&caller, ROOT, called(c"l"), c"x", &creating(0)).unwrap();
    share.fs.make_node(&caller, ROOT, called(c"p"), 0, &creating(libc::S_IFIFO)).unwrap();
    for name in ["f", "d", "l", "p"] {
        let host = share.path(name).symlink_metadata().unwrap();
        assert_eq!((host.uid(), host.gid()), (1000, 2000), "{name}");
    }
    // And the thread is itself again.
    assert_eq!(crate::sys::thread::ids(), (0, 0));
    share.create("root", libc::O_RDWR).unwrap();
    assert_eq!(share.path("root").metadata().unwrap().uid(), 0);
}

#[test]
fn directory_of_somebody_else_is_closed_to_the_caller() {
    let Some(share) = Share::new(Options::default()) else { return };
    let made = share.fs.make_directory(&user(1000, 1000), ROOT, called(c"d"), &creating(0o750));
    assert_eq!(made.unwrap_err(), Failure::EACCES);
    assert_eq!(crate::sys::thread::ids(), (0, 0));
    let nobody = user(Caller::NOBODY, Caller::NOBODY);
    let made = share.fs.make_directory(&nobody, ROOT, called(c"d"), &creating(0o750));
    assert_eq!(made.unwrap_err(), Failure::EPERM);
}

#[test]
fn further_group_of_the_caller_opens_a_directory() {
    let Some(share) = Share::new(Options::default()) else { return };
    chown(share.path("."), Some(0), Some(3000)).unwrap();
    fs::set_permissions(share.path("."), PermissionsExt::from_mode(0o2770)).unwrap();
    let caller = user(1000, 1000);
    let make = |name, group| {
        let creation = Creation { mode: 0o750, group, ..Creation::default() };
        share.fs.make_directory(&caller, ROOT, called(name), &creation)
    };
    assert_eq!(make(c"a", None).unwrap_err(), Failure::EACCES);
    assert_eq!(make(c"a", Some(3000)).unwrap().attributes.attr.gid, 3000);
    assert_eq!(make(c"b", None).unwrap_err(), Failure::EACCES);
}

/// Clients before 6.3 do not say which groups a caller is in; they have checked it themselves.
#[test]
fn directory_is_open_to_callers_whose_groups_the_client_cannot_say() {
    let offered = InitFlags(u64::MAX) - InitFlags::CREATE_SUPP_GROUP;
    let Some(share) = Share::beginning(Options::default(), offered) else { return };
    chown(share.path("."), Some(0), Some(2000)).unwrap();
    fs::set_permissions(share.path("."), PermissionsExt::from_mode(0o770)).unwrap();
    let before = crate::sys::thread::capabilities().unwrap();
    let caller = user(1000, 1000);
    let flags = opening(libc::O_RDWR);
    share.fs.create(&caller, ROOT, called(c"f"), flags, &creating(0o640)).unwrap();
    share.fs.make_directory(&caller, ROOT, called(c"d"), &creating(0o750)).unwrap();
    share.fs.make_symlink(&caller, ROOT, called(c"l"), c"x", &creating(0)).unwrap();
    share.fs.make_node(&caller, ROOT, called(c"p"), 0, &creating(libc::S_IFIFO)).unwrap();
    for name in ["f", "d", "l", "p"] {
        let host = share.path(name).symlink_metadata().unwrap();
        assert_eq!((host.uid(), host.gid()), (1000, 1000), "{name}");
    }
    assert_eq!(crate::sys::thread::ids(), (0, 0));
    assert_eq!(crate::sys::thread::capabilities().unwrap(), before);
}

#[test]
fn umask_counts_where_it_was_left_to_us() {
    let options = Options { posix_acl: Wanted::Always, xattr: true, ..Options::default() };
    let Some(share) = Share::new(options) else { return };
    for (name, umask, mode) in [(c"a", 0o027, 0o750), (c"b", 0, 0o777), (c"c", 0o777, 0)] {
        let creation = Creation { mode: 0o777, umask, ..Creation::default() };
        let made = share.fs.make_directory(&NOW, ROOT, called(name), &creation).unwrap();
        assert_eq!(made.attributes.attr.mode & 0o7777, mode, "{name:?}");
    }
}

#[test]
fn users_and_groups_are_translated_both_ways() {
    let mut options = Options::default();
    options.ids.uid = super::super::ids::IdMap::parse(["map:1000:5000:10"]).unwrap();
    options.ids.gid = super::super::ids::IdMap::parse(["map:1000:6000:10"]).unwrap();
    let Some(share) = Share::new(options) else { return };
    open_to_all(&share);
    let made = share.fs.make_directory(&user(1001, 1002), ROOT, called(c"d"), &creating(0o755));
    let attr = made.unwrap().attributes.attr;
    assert_eq!((attr.uid, attr.gid), (1001, 1002));
    let host = share.path("d").metadata().unwrap();
    assert_eq!((host.uid(), host.gid()), (5001, 6002));
}

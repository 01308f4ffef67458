// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Users, groups and names of attributes that are others on the host.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::process::Command;

use vhost_user_tests::fs::Shared;
use vhost_user_tests::fs::client::{Caller, Change, New};
use vhost_user_tests::fs::wire::{ROOT, init};
use vhost_user_tests::requires;

/// A folder in which anybody may make files, shared with these arguments.
fn shared(arguments: &[&str]) -> Option<Shared> {
    if !requires::root() {
        return None;
    }
    let it = Shared::with(arguments);
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(it.folder.path(), all).expect("set the mode");
    Some(it)
}

#[test]
fn user_who_is_mapped_is_another_on_the_host_and_the_same_here() {
    let arguments = ["--translate-uid", "map:1000:5000:10", "--translate-gid", "map:2000:6000:10"];
    let Some(mut it) = shared(&arguments) else { return };
    it.fs.caller = Caller { uid: 1003, gid: 2004, pid: 1 };
    let (entry, _) = it.fs.create(ROOT, "file", New::default()).unwrap();
    assert_eq!((entry.attr.uid, entry.attr.gid), (1003, 2004));
    let host = fs::metadata(it.path("file")).unwrap();
    assert_eq!((host.uid(), host.gid()), (5003, 6004));
    it.fs.caller = Caller { uid: 0, gid: 0, pid: 1 };
    let change = Change { uid: Some(1009), gid: Some(77), ..Change::default() };
    let attr = it.fs.setattr(entry.node, change).unwrap();
    assert_eq!((attr.uid, attr.gid), (1009, 77));
    let host = fs::metadata(it.path("file")).unwrap();
    assert_eq!((host.uid(), host.gid()), (5009, 77));
}

#[test]
fn users_who_are_squashed_are_one_on_the_host() {
    let squash = "squash-guest:0:107:4294967295";
    let Some(mut it) = shared(&["--translate-uid", squash, "--translate-gid", squash]) else {
        return;
    };
    for (name, uid) in [("one", 0), ("two", 1000)] {
        it.fs.caller = Caller { uid, gid: uid, pid: 1 };
        it.fs.create(ROOT, name, New::default()).unwrap();
        let host = fs::metadata(it.path(name)).unwrap();
        assert_eq!((host.uid(), host.gid()), (107, 107), "{name}");
    }
}

#[test]
fn user_who_is_forbidden_makes_nothing() {
    let Some(mut it) = shared(&["--translate-uid", "forbid-guest:1000:10"]) else { return };
    it.fs.caller = Caller { uid: 1005, gid: 1005, pid: 1 };
    assert!(it.fs.create(ROOT, "file", New::default()).is_err(), "a file of one who is forbidden");
    assert!(!it.path("file").exists(), "nothing was made");
    it.fs.caller = Caller { uid: 1010, gid: 1010, pid: 1 };
    it.fs.create(ROOT, "file", New::default()).unwrap();
}

/// As the kernels before 6.3 ask, which cannot say a caller's further groups and have looked at them.
#[test]
fn folder_of_a_further_group_is_open_to_a_caller_whose_groups_are_not_said() {
    let Some(mut it) = shared(&[]) else { return };
    chown(it.folder.path(), Some(0), Some(2000)).unwrap();
    let members = std::os::unix::fs::PermissionsExt::from_mode(0o770);
    fs::set_permissions(it.folder.path(), members).expect("set the mode");
    let mut tried = |offered: u64, name: &str| {
        it.fs.caller = Caller { uid: 0, gid: 0, pid: 1 };
        it.fs.init_with(offered).expect("a reply to INIT");
        it.fs.caller = Caller { uid: 1000, gid: 1000, pid: 1 };
        it.fs.mkdir(ROOT, name, 0o755).map(|entry| entry.attr.uid)
    };
    let usual = init::INIT_EXT | init::CREATE_SUPP_GROUP;
    assert_eq!(tried(usual, "one"), Err(libc::EACCES));
    assert_eq!(tried(usual & !init::CREATE_SUPP_GROUP, "two"), Ok(1000));
}

#[test]
fn owner_on_the_host_is_told_as_the_one_it_is_here() {
    let Some(mut it) = shared(&["--translate-uid", "host:5000:1000:10"]) else { return };
    fs::write(it.path("file"), "").unwrap();
    chown(it.path("file"), Some(5002), Some(5002)).unwrap();
    let attr = it.fs.lookup(ROOT, "file").unwrap().attr;
    assert_eq!((attr.uid, attr.gid), (1002, 5002));
}

#[test]
fn attribute_that_is_mapped_has_another_name_on_the_host() {
    if !requires::program("getfattr") {
        return;
    }
    let Some(mut it) = shared(&["--xattrmap", ":map::user.virtiofs.:"]) else { return };
    let (entry, _) = it.fs.create(ROOT, "file", New::default()).unwrap();
    it.fs.setxattr(entry.node, "trusted.one", "value", 0).unwrap();
    assert_eq!(it.fs.getxattr(entry.node, "trusted.one", 64), Ok(b"value".to_vec()));
    let names = it.fs.listxattr(entry.node, 256).unwrap();
    assert_eq!(names, b"trusted.one\0");
    let said = Command::new("getfattr").arg("-d").arg(it.path("file")).output().expect("run it");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("user.virtiofs.trusted.one=\"value\""), "{said}");
    it.fs.removexattr(entry.node, "trusted.one").unwrap();
    assert_eq!(it.fs.listxattr(entry.node, 256), Ok(Vec::new()));
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

use std::fs;

use super::*;
use crate::filesystem::{Lock, LockKind, LockOwner, LockRequest};
use crate::passthrough::session::Counts;

#[test]
fn nothing_is_left_of_a_session_that_ends() {
    let options = Options { posix_lock: true, flock: true, ..Options::default() };
    let Some(share) = Share::new(options) else { return };
    let before = share.fs.budget.left();
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let mut flat = 0;
    for round in 0..100 {
        let (entry, opened) = share.create("a", libc::O_RDWR).unwrap();
        fs::write(share.path("b"), "").unwrap();
        share.look(ROOT, "b").unwrap();
        share.fs.open_directory(&NOW, ROOT, 0).unwrap();
        let lock = Lock { start: 0, end: 9, kind: LockKind::Exclusive, pid: 0 };
        let request = LockRequest { owner: LockOwner(round), lock, whole: false };
        share.fs.set_lock(&NOW, entry.inode, opened.handle, &request).unwrap();
        assert_eq!(share.fs.counts(), Counts { inodes: 2, handles: 2, locks: 1 });
        share.fs.end();
        assert_eq!(share.fs.counts(), Counts::default());
        assert_eq!(share.fs.budget.left(), before);
        assert_eq!(share.fs.mounts.len(), 0);
        assert_eq!(share.fs.attributes(&NOW, entry.inode, None), Err(Failure::ESTALE));
        assert_eq!(share.read(entry.inode, opened.handle, 0, 1), Err(Failure::EBADF));
        share.fs.begin(InitFlags(u64::MAX)).unwrap();
        if round == 0 {
            flat = descriptors();
        }
    }
    // Other tests of this process open and close theirs.
    assert!(descriptors() < flat + 90, "{flat} became {}", descriptors());
    assert!(share.fs.attributes(&NOW, ROOT, None).is_ok());
}

#[test]
fn locks_are_off_unless_the_operator_says_so() {
    let Some(share) = Share::new(Options::default()) else { return };
    let (entry, opened) = share.create("a", libc::O_RDWR).unwrap();
    let lock = Lock { start: 0, end: 9, kind: LockKind::Exclusive, pid: 0 };
    let request = LockRequest { owner: LockOwner(1), lock, whole: false };
    let locked = share.fs.set_lock(&NOW, entry.inode, opened.handle, &request);
    assert_eq!(locked, Err(Failure::ENOSYS));
}

#[test]
fn host_can_unmount_what_the_client_has_forgotten() {
    let Some(share) = Share::new(Options::default()) else { return };
    let place = share.path("mnt");
    fs::create_dir(&place).unwrap();
    let mount = |arguments: &[&str]| {
        let run = std::process::Command::new(arguments[0])
            .args(&arguments[1..])
            .arg(&place)
            .output()
            .unwrap();
        run.status.success()
    };
    if !mount(&["mount", "-t", "tmpfs", "none"]) {
        assert!(std::env::var_os("CI").is_none(), "this test needs to mount");
        eprintln!("SKIPPED: this test needs to mount");
        return;
    }
    fs::write(place.join("f"), "").unwrap();
    let directory = share.look(ROOT, "mnt").unwrap();
    assert!(directory.attributes.attr.submount);
    let file = share.look(directory.inode, "f").unwrap();
    assert!(!file.attributes.attr.submount);
    let busy = mount(&["umount"]);
    share.fs.forget(file.inode, 1);
    share.fs.forget(directory.inode, 1);
    let unmounted = mount(&["umount"]);
    assert!(!busy, "it was unmounted while the client held it");
    assert!(unmounted, "it is still held");
}

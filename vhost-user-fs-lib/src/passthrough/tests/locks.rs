// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

use std::process::Command;

use super::*;
use crate::filesystem::{Lock, LockKind, LockOwner, LockRequest};

const END: u64 = i64::MAX.unsigned_abs();

fn request(owner: u64, kind: LockKind, whole: bool) -> LockRequest {
    let lock = Lock { start: 0, end: END, kind, pid: 0 };
    LockRequest { owner: LockOwner(owner), lock, whole }
}

fn new() -> Option<Share> {
    Share::new(Options { posix_lock: true, flock: true, ..Options::default() })
}

#[test]
fn program_that_is_locked_by_who_reads_it_runs_on_the_host() {
    let Some(share) = new() else { return };
    let path = share.path("program");
    // Another process writes it, so that none that is started here has it open to be written.
    assert!(Command::new("cp").arg("/bin/true").arg(&path).status().unwrap().success());
    let inode = share.look(ROOT, "program").unwrap().inode;
    let handle = share.open(inode, libc::O_RDONLY).unwrap();
    for whole in [false, true] {
        let lock = request(1, LockKind::Shared, whole);
        share.fs.set_lock(&NOW, inode, handle, &lock).unwrap();
        assert!(Command::new(&path).status().unwrap().success());
    }
    let lock = request(1, LockKind::Exclusive, false);
    assert_eq!(share.fs.set_lock(&NOW, inode, handle, &lock), Err(Failure::EBADF));
    assert!(Command::new(&path).status().unwrap().success());
    assert_eq!(share.fs.counts().locks, 2);
}

#[test]
fn who_reads_and_then_writes_has_one_set_of_locks() {
    let Some(share) = new() else { return };
    fs::write(share.path("a"), "1").unwrap();
    let inode = share.look(ROOT, "a").unwrap().inode;
    let reading = share.open(inode, libc::O_RDONLY).unwrap();
    let writing = share.open(inode, libc::O_WRONLY).unwrap();
    let set =
        |handle, owner, kind| share.fs.set_lock(&NOW, inode, handle, &request(owner, kind, false));
    set(reading, 1, LockKind::Shared).unwrap();
    set(reading, 2, LockKind::Shared).unwrap();
    assert_eq!(set(writing, 1, LockKind::Exclusive), Err(Failure::EAGAIN));
    assert_eq!(set(writing, 3, LockKind::Exclusive), Err(Failure::EAGAIN));
    set(reading, 2, LockKind::Unlocked).unwrap();
    assert_eq!(set(writing, 3, LockKind::Exclusive), Err(Failure::EAGAIN));
    set(writing, 1, LockKind::Exclusive).unwrap();
    assert_eq!(set(reading, 2, LockKind::Shared), Err(Failure::EAGAIN));
    set(reading, 1, LockKind::Shared).unwrap();
    set(reading, 2, LockKind::Shared).unwrap();
    assert_eq!(share.fs.counts().locks, 2);
}

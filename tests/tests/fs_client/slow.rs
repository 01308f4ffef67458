// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A host that takes its time with one request: others do not wait for it.

use std::process::Command;

use vhost_user_tests::fs::client::Range;
use vhost_user_tests::fs::share::{USUAL, new_folder};
use vhost_user_tests::fs::wire::{Body, ROOT, opcode};
use vhost_user_tests::fs::{FsClient, Shared};
use vhost_user_tests::fuse::{FuseFile, Op};
use vhost_user_tests::prelude::*;

/// A shared folder with a file `slow` that answers when it is told to, and two request queues.
struct Slow {
    // They end in this order: a daemon that still waits for the file would not.
    file: FuseFile,
    it: Shared,
    node: u64,
    fh: u64,
}

impl Slow {
    fn new() -> Option<Self> {
        let file = FuseFile::of(vec![7; 4096])?;
        let folder = new_folder();
        let place = folder.path().join("slow");
        std::fs::write(&place, "").expect("write a file");
        let status = Command::new("mount").arg("--bind").args([file.path(), &place]).status();
        assert!(status.expect("run mount").success(), "mount the file in the folder");
        let launch = Daemon::fs().share(folder.path()).args(["--num-request-queues", "2"]);
        let daemon = launch.start();
        let mut frontend = Frontend::connect(&daemon).negotiate(USUAL);
        let fs = FsClient::start(&mut frontend, 2);
        let mut it = Shared { fs, frontend, daemon, folder };
        it.fs.init();
        let node = it.fs.lookup(ROOT, "slow").expect("a name that is there").node;
        let fh = it.fs.open(node, libc::O_RDWR).expect("a file that opens").fh;
        Some(Self { file, it, node, fh })
    }

    /// What others ask on the queues `queues` and the high-priority one is answered while `body` of
    /// `opcode` is not.
    fn others_go_on(&mut self, held: Op, opcode: u32, body: &[u8], room: usize, queues: &[usize]) {
        self.file.hold(held);
        let fs = &mut self.it.fs;
        fs.on = 1;
        let slow = fs.begin(opcode, self.node, body, room);
        self.file.wait_for(held, 1);
        for queue in queues {
            fs.on = *queue;
            for number in 0..50 {
                let name = format!("file {queue} {number}");
                let node = fs.mkdir(ROOT, &name, 0o755).expect("a folder that is made").node;
                fs.forget(node, 1);
                fs.getattr(ROOT).expect("attributes");
            }
        }
        assert!(!fs.is_done(slow), "the file has not answered");
        self.file.release(held);
        fs.end(slow).expect("a reply at last");
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.file.vanish();
        let place = self.it.path("slow");
        let _ = Command::new("umount").arg("--lazy").arg(place).status();
    }
}

#[test]
fn fsync_holds_up_neither_its_own_queue_nor_others() {
    let Some(mut slow) = Slow::new() else { return };
    slow.it.fs.write(slow.node, slow.fh, 0, b"x").unwrap();
    let body = Body::new().u64s(&[slow.fh]).u32s(&[0, 0]).finish();
    slow.others_go_on(Op::Fsync, opcode::FSYNC, &body, 0, &[1, 2]);
}

#[test]
fn allocation_holds_up_neither_its_own_queue_nor_others() {
    let Some(mut slow) = Slow::new() else { return };
    let at = Range { node: slow.node, fh: slow.fh, offset: 0 };
    let body = Body::new().u64s(&[at.fh, 0, 4096]).u32s(&[0, 0]).finish();
    slow.others_go_on(Op::Fallocate, opcode::FALLOCATE, &body, 0, &[1, 2]);
}

#[test]
fn read_from_slow_storage_holds_up_no_other_queue() {
    let Some(mut slow) = Slow::new() else { return };
    let body = FsClient::read_body(slow.fh, 0, 4096);
    slow.others_go_on(Op::Read, opcode::READ, &body, 4096, &[2]);
}

#[test]
fn write_to_slow_storage_holds_up_no_other_queue() {
    let Some(mut slow) = Slow::new() else { return };
    let body = Body::new().u64s(&[slow.fh, 0]).u32s(&[4, 0]).u64s(&[0]).u32s(&[0, 0]);
    slow.others_go_on(Op::Write, opcode::WRITE, &body.bytes(b"four").finish(), 8, &[2]);
}

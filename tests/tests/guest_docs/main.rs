// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The commands in the documentation, run as they stand there.
//!
//! A block of commands says behind ```` ```sh ```` what becomes of it:
//!
//! - `run`: it ends by itself, with success;
//! - `run boots`: a guest comes up on its standard output, and is powered off;
//! - `run after="COMMAND"`: the same as `run`, once that has been run;
//! - `run systemd`, `run systemd after="COMMAND"`: root runs it on a machine with systemd;
//! - `not-run="REASON"`: it cannot be run here.
//!
//! Most blocks are run by `bash -euo pipefail`, each in a folder of its own that has `disk.img` (a disk
//! to boot from), `root` (a directory to live on), `vmlinuz`, `initrd.img` and `share.img` (which makes
//! the file system `rootfs` the root), with the built daemons in the PATH. Those that want
//! systemd are run one after the other in one guest, in what looks like a clone of the repository.

mod blocks;
mod documents;
mod machine;
mod scratch;

use blocks::{Block, Fate};
use vhost_user_tests::guest::{Found, Qemu, required};
use vhost_user_tests::requires;

/// The blocks with this fate, each text once, though several documents may have it.
fn blocks_to_run(wanted: impl Fn(&Fate) -> bool) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for block in documents::blocks() {
        let known = blocks.iter().any(|other| other.commands == block.commands);
        if wanted(&block.fate) && !known {
            blocks.push(block);
        }
    }
    assert!(!blocks.is_empty(), "the documents have no such block");
    blocks
}

#[test]
fn commands_of_every_document_are_run_or_say_why_not() {
    let faults = documents::faults();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn commands_that_end_by_themselves_succeed() {
    for block in blocks_to_run(|fate| matches!(fate, Fate::Ends { .. })) {
        let scratch = scratch::Scratch::new();
        println!("{block}");
        scratch.run(&block);
    }
}

#[test]
fn commands_that_boot_a_guest_do() {
    if required("QEMU", Qemu::installed().map(Found::Here)).is_none() {
        return;
    }
    for block in blocks_to_run(|fate| *fate == Fate::Boots) {
        let scratch = scratch::Scratch::new();
        println!("{block}");
        scratch.boot(&block).unwrap();
    }
}

#[test]
fn commands_for_a_machine_with_systemd_succeed_there() {
    let qemu = required("QEMU", Qemu::installed().map(Found::Here)).is_some();
    if !qemu || !requires::program("/usr/lib/systemd/systemd") || !requires::program("setfacl") {
        return;
    }
    let mut machine = machine::Machine::booted().unwrap();
    for block in blocks_to_run(|fate| matches!(fate, Fate::OnAMachine { .. })) {
        println!("{block}");
        let Fate::OnAMachine { after } = &block.fate else { unreachable!("just looked for") };
        machine.run(&block, after.as_deref()).unwrap();
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A front end for a guest's shell: `front-end SOCKET use`, `... survive N` or `... watch`.

#![expect(clippy::print_stdout, reason = "whoever started it waits for its words")]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{Write, stdout};
use std::path::Path;

use vhost_user_tests::deadline::{Deadline, until};
use vhost_user_tests::frontend::BackendMessage;
use vhost_user_tests::prelude::*;

/// How many sectors are written at the same time.
const SECTORS: u16 = 16;

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [socket, "use"] => use_once(socket.as_ref()),
        [socket, "survive", losses] => survive(socket.as_ref(), losses.parse().expect("a number")),
        [socket, "watch"] => watch(socket.as_ref()),
        _ => panic!("front-end SOCKET use|survive N|watch: {words:?}"),
    }
}

/// Writes to the first sectors, flushes, reads them again. Says the disk's size.
fn use_once(socket: &Path) {
    let mut frontend = Frontend::connect(socket).negotiate(USUAL);
    let mut disk = frontend.blk(0, 16);
    disk.write(0, &Image::contents(0)).expect("a write that succeeds");
    disk.flush().expect("a flush that succeeds");
    assert_eq!(disk.read(0, 1), Ok(Image::contents(0)));
    say(&format!("{} sectors", frontend.blk_config().capacity));
}

/// Writes without a pause until so many connections were lost, and once more. What was written before
/// a loss must be there after it. Says `serving N` when a connection serves after N lost ones.
fn survive(socket: &Path, losses: u64) {
    let (mut round, mut written) = (1, BTreeSet::new());
    for lost in 0..=losses {
        let mut frontend = Frontend::connect(socket).negotiate(USUAL);
        let mut disk = frontend.blk(0, 64);
        for sector in written {
            assert_eq!(disk.read(sector, 1), Ok(contents(round, sector)), "after {lost} losses");
        }
        let mut spoken = false;
        loop {
            written = write(&mut disk, &frontend, round);
            if written.len() < usize::from(SECTORS) {
                assert!(lost < losses, "one connection more than {losses} was lost");
                break;
            }
            if !std::mem::replace(&mut spoken, true) {
                say(&format!("serving {lost}"));
            }
            if lost == losses {
                return say(&format!("{round} rounds"));
            }
            round += 1;
        }
    }
}

/// Writes to all sectors at once. Returns which were written; the others were in flight when the
/// connection was lost.
fn write(disk: &mut BlkQueue, frontend: &Frontend, round: u64) -> BTreeSet<u64> {
    let before = disk.queue.used_index();
    let sectors = 0..u64::from(SECTORS);
    let requests: Vec<Request> =
        sectors.clone().map(|sector| Request::write(sector, &contents(round, sector))).collect();
    let in_flight: BTreeMap<u16, u64> =
        disk.submit_all(&requests).into_iter().zip(sectors).collect();
    let mut written = BTreeSet::new();
    for done in 0..SECTORS {
        let used = || disk.queue.used_index() != before.wrapping_add(done);
        let is_used =
            || used().then_some(true).or_else(|| (!frontend.is_silent()).then_some(used()));
        if !until("a request to be given back, or the end of the connection", is_used) {
            break;
        }
        let (head, completion) = disk.watch();
        completion.status.expect("a write that succeeds");
        written.insert(in_flight[&head]);
    }
    written
}

/// What is in a sector after this round.
fn contents(round: u64, sector: u64) -> Bytes {
    Image::contents(round * u64::from(SECTORS) + sector)
}

/// Says the disk's size, waits until the back end says that it has another, and says that.
fn watch(socket: &Path) {
    let frontend = Frontend::connect(socket).negotiate(USUAL);
    let channel = frontend.backend_channel();
    say(&format!("{} sectors", frontend.blk_config().capacity));
    assert_eq!(channel.receive(Deadline::new()), Some(BackendMessage::config_change()));
    say(&format!("{} sectors", frontend.blk_config().capacity));
}

fn say(words: &str) {
    println!("{words}");
    stdout().flush().expect("write to standard output");
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What is on stable storage, and when: what a flush promises, what a write promises to a driver
//! that does not flush, and what becomes of a promise that could not be kept.
//!
//! It is seen from two sides: the system calls of the daemon, in the order in which strace has
//! them, and a file of our own, which sees what the kernel asks of it.

use vhost_user_tests::daemon::Launch;
use vhost_user_tests::fuse::{Call, Event, FuseFile, Manner};
use vhost_user_tests::prelude::*;

mod failing;
mod flushing;
mod write_through;
mod write_zeroes;

/// The length of the files here, in sectors.
const SECTORS: u64 = 64;

/// Somebody else's sectors, to be told from those of a new image.
fn foreign(sectors: u64) -> Bytes {
    (1000..1000 + sectors).flat_map(Image::contents).collect()
}

/// A file of our own, with the contents of a new image.
fn file(manner: Manner) -> Option<FuseFile> {
    let bytes: Bytes = (0..SECTORS).flat_map(Image::contents).collect();
    FuseFile::with(&bytes[..], manner)
}

/// A daemon for `file`, about to start.
fn serving(file: &FuseFile, engine: &str) -> Launch {
    Daemon::blk().arg("--blk-file").arg(file.path()).args(["--io-engine", engine])
}

/// Whether all that was written to the file so far is on stable storage: each write was asked to
/// be, or an fsync that came after its answer was answered, too.
#[track_caller]
fn all_is_durable(events: &[Event]) -> bool {
    let mut at_risk = false;
    let mut covered = false;
    for event in events {
        match event {
            Event::Answered(Call::Write { durable: false, .. } | Call::Fallocate { .. }, 0) => {
                (at_risk, covered) = (true, false);
            }
            Event::Came(Call::Fsync) => covered = true,
            Event::Answered(Call::Fsync, 0) if covered => at_risk = false,
            _ => (),
        }
    }
    !at_risk
}

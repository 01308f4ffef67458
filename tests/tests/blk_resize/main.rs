// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A disk that gets another size while it is served: SIGUSR1 has the daemon look at it again, the
//! front end hears of it, and the driver can reach all of what is there and nothing else.

use vhost_user_tests::deadline::until;
use vhost_user_tests::prelude::*;

mod announcing;
mod block_device;
mod connecting;
mod requests;

/// Has the daemon look at its disk again.
fn refresh(daemon: &Daemon) {
    daemon.process().signal(libc::SIGUSR1);
}

/// The number of sectors that the config space says.
#[track_caller]
fn capacity(frontend: &Frontend) -> u64 {
    let bytes = frontend.get_config(0, 8).expect("the config space");
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

/// Waits until the config space says this number of sectors; no request finds fewer then.
#[track_caller]
fn until_capacity(frontend: &Frontend, sectors: u64) {
    until("the new capacity", || (capacity(frontend) == sectors).then_some(()));
}

/// Gives the disk another number of sectors, and waits until it is served so.
#[track_caller]
fn resize(it: &Served, sectors: u64) {
    it.image.set_len(sectors * SECTOR as u64);
    refresh(&it.daemon);
    until_capacity(&it.frontend, sectors);
}

/// Somebody else's sectors, to be told from those of a new image and from zeroes.
fn foreign(sectors: u64) -> Bytes {
    (1000..1000 + sectors).flat_map(Image::contents).collect()
}

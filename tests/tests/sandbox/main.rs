// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a daemon can still do once it serves: as the kernel tells it, and as it finds out by trying.

use std::fs;
use std::path::PathBuf;

use vhost_user_tests::daemon::{Launch, Privileges, Ran};
use vhost_user_tests::prelude::*;

mod attempts;
mod connecting;
mod hosts;
mod kernel;
mod ordinary_user;
mod other_users;
mod rings;

/// The namespaces that a sandbox has of its own, whoever makes it.
const NAMESPACES: [&str; 3] = ["ns/mnt", "ns/net", "ns/ipc"];

/// A daemon on an image, about to start.
fn blk() -> (Image, Launch) {
    let image = Image::of_sectors(8);
    let launch = Daemon::blk().image(&image);
    (image, launch)
}

/// A namespace of this thread.
#[track_caller]
fn own_namespace(link: &str) -> PathBuf {
    fs::read_link(format!("/proc/thread-self/{link}")).expect("look at a namespace")
}

/// All that a sandbox with namespaces is made of is there, and of all capabilities these are left.
#[track_caller]
fn expect_confined(daemon: &Daemon, capabilities: u64) {
    daemon.process().expect_privileges(Privileges { capabilities, ..Privileges::NONE });
    for link in NAMESPACES {
        assert_ne!(daemon.process().link(link), own_namespace(link), "{link}");
    }
}

/// One sector can be read and written over the connection.
#[track_caller]
fn expect_served(frontend: Frontend, image: &Image) {
    let mut frontend = frontend.negotiate(USUAL);
    let mut disk = frontend.blk(0, 16);
    assert_eq!(disk.read(7, 1), Ok(image.sector(7)));
    assert_eq!(disk.write(7, &Image::contents(7)), Ok(()));
    assert_eq!(disk.flush(), Ok(()));
}

/// The daemon refused to start by the operator's fault, said why in one line, which it returns, and
/// made no socket at any time.
#[track_caller]
fn expect_refusal(ran: &Ran) -> &str {
    assert_eq!(ran.exit, Exit::Code(2), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    assert!(!ran.touched, "a socket of a daemon that did not start");
    ran.stderr.lines().last().unwrap_or_default()
}

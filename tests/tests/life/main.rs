// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The life of a daemon's process, from its options to its exit code.

use std::fs;
use std::path::Path;

use vhost_user_tests::daemon::{Launch, Ran};
use vhost_user_tests::prelude::*;

mod background;
mod ending;
mod files;
mod limits;
mod logging;
mod mistakes;
mod sockets;
mod syslog;
mod taken;
mod under_load;

/// A daemon on an image, about to start.
fn blk() -> (Image, Launch) {
    let image = Image::of_sectors(8);
    let launch = Daemon::blk().image(&image);
    (image, launch)
}

/// A daemon on an image that does not matter, about to start.
fn any_blk() -> Launch {
    let launch = Daemon::blk();
    let image = launch.folder().join("disk.img");
    std::fs::write(&image, [0; SECTOR]).expect("write an image");
    launch.arg("--blk-file").arg(image)
}

/// What a pid file says.
#[track_caller]
fn pid(file: &Path) -> u32 {
    let text = fs::read_to_string(file).expect("read the pid file");
    let number = text.strip_suffix('\n').expect("a newline in the pid file");
    number.parse().expect("a number in the pid file")
}

/// One sector can be read over the connection.
#[track_caller]
fn expect_served(frontend: Frontend, image: &Image) {
    let mut frontend = frontend.negotiate(USUAL);
    assert_eq!(frontend.blk(0, 16).read(7, 1), Ok(image.sector(7)));
}

/// The daemon refused to start by the operator's fault, and said why in one line.
#[track_caller]
fn expect_mistake(ran: &Ran, reason: &str) {
    assert_eq!(ran.exit, Exit::Code(2), "{}", ran.stderr);
    let line = ran.stderr.lines().last().unwrap_or_default();
    assert_eq!(line, format!("vhost-user-blk: {reason}"));
    assert_eq!(ran.stdout, "");
}

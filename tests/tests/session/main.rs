// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What front ends in the wild do, in their own order; each of it has a front end that does it.

use vhost_user_tests::prelude::*;

mod backend_channel;
mod connections;
mod enabling;
mod features;
mod framing;
mod huge_pages;
mod memory;
mod notification;
mod pipes;
mod reset;
mod running;
mod status;
mod stopping;

/// A daemon on an image of 64 sectors, and a front end that has said nothing yet.
fn stranger() -> (Image, Daemon, Frontend) {
    let image = Image::of_sectors(64);
    let daemon = Daemon::blk().image(&image).start();
    let frontend = Frontend::connect(&daemon);
    (image, daemon, frontend)
}

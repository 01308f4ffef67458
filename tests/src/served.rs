// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What most tests begin with: an image, a daemon that serves it, and a front end with one queue.

use crate::blk::BlkQueue;
use crate::daemon::{Daemon, Launch};
use crate::features::{EVENT_IDX, FLUSH, INDIRECT_DESC, VERSION_1};
use crate::frontend::Frontend;
use crate::image::Image;

/// The features that a Linux guest would ack, too.
pub const USUAL: u64 = VERSION_1 | FLUSH | INDIRECT_DESC | EVENT_IDX;

/// A block device being served.
///
/// All of it lives as long as the value; what a test has no word for must not end before the rest.
#[derive(Debug)]
pub struct Served {
    /// The device's queue 0, of 16 descriptors.
    pub disk: BlkQueue,
    /// The front end, which may start more queues.
    pub frontend: Frontend,
    /// The daemon.
    pub daemon: Daemon,
    /// What it serves: at first an image of 64 sectors.
    pub image: Image,
}

impl Served {
    /// A writable disk of 64 sectors, with the usual features.
    #[track_caller]
    pub fn blk() -> Self {
        Self::blk_with(&[], USUAL)
    }

    /// The same, with more arguments for the daemon and with `features` acked.
    #[track_caller]
    pub fn blk_with(arguments: &[&str], features: u64) -> Self {
        let image = Image::of_sectors(64);
        let daemon = Daemon::blk().image(&image).args(arguments).start();
        let mut frontend = Frontend::connect(&daemon).negotiate(features);
        let disk = frontend.blk(0, 16);
        Self { disk, frontend, daemon, image }
    }

    /// Ends the connection and begins another one, with the usual features and a new queue 0.
    #[track_caller]
    pub fn reconnected(self) -> Self {
        let Self { disk, frontend, daemon, image } = self;
        drop((disk, frontend));
        let mut frontend = Frontend::connect(&daemon).negotiate(USUAL);
        let disk = frontend.blk(0, 16);
        Self { disk, frontend, daemon, image }
    }
}

/// Whatever a daemon serves, with a front end and one queue. For those who keep the image.
#[derive(Debug)]
pub struct Driven {
    /// The device's queue 0, of 16 descriptors.
    pub disk: BlkQueue,
    /// The front end, which may start more queues.
    pub frontend: Frontend,
    /// The daemon.
    pub daemon: Daemon,
}

impl Driven {
    /// What `launch` starts, with `features` acked.
    #[track_caller]
    pub fn start(launch: Launch, features: u64) -> Self {
        let daemon = launch.start();
        let mut frontend = Frontend::connect(&daemon).negotiate(features);
        let disk = frontend.blk(0, 16);
        Self { disk, frontend, daemon }
    }
}

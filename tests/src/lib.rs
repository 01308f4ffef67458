// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The vocabulary of the black-box tests: a vhost-user front end, a driver and the built daemons.
//!
//! A test starts a real binary on a socket of its own, plays front end and driver against it, and
//! looks at what comes back: replies, the used ring, the image, the log, the exit code.
//!
//! ```no_run
//! use vhost_user_tests::prelude::*;
//!
//! let image = Image::of_sectors(8);
//! let daemon = Daemon::blk().image(&image).start();
//! let mut frontend = Frontend::connect(&daemon).negotiate(VERSION_1 | FLUSH);
//! let mut disk = frontend.blk(0, 16);
//!
//! assert_eq!(disk.read(8, 1), Err(Status::IoErr));
//! assert_eq!(disk.read(7, 1), Ok(image.sector(7)));
//! assert_eq!(daemon.sigterm().wait(), Exit::Clean);
//! ```
//!
//! The levels, from the bottom up; a test takes the highest one that can still say what it means:
//!
//! - [`frontend::Message`]: a header, a payload and descriptors, each of which may be wrong.
//! - [`frontend::Frontend`]: a connection, with one typed call for each message.
//! - [`memory::GuestMemory`]: memfds at guest addresses that are not the user addresses.
//! - [`driver::Queue`]: the driver's side of a split virtqueue; every field can be written raw.
//! - [`in_flight::InFlightRegion`]: what a back end notes about its requests, to be read and written.
//! - [`blk::BlkQueue`]: requests to a block device, one by one or many in flight.
//! - [`fs::FsClient`]: requests to a shared file system; [`fs::Bridge`] has the kernel send them.
//!
//! And what a daemon stands on: [`fuse::FuseFile`] is a file that fails and waits as it is told to,
//! [`private_mounts`] has file systems that fill up, [`strace::Strace`] the system calls in their
//! order, [`syslog::Syslog`] what is logged there. [`on_each_engine!`] has a test done once for each way of input and output.
//!
//! Apart from them, [`load`] drives a block device as fast as it goes, and [`fuzz`] does everything to a
//! daemon that no front end should.
//!
//! Nothing here sleeps. Whoever waits does so for a descriptor or a condition, and panics with a
//! sentence about it after [`deadline::PATIENCE`]: a failed expectation ends the test that had it.
//! For the same reason these calls panic where a library would return an error.

pub mod blk;
pub mod bytes;
pub mod daemon;
pub mod deadline;
pub mod dirty_log;
pub mod driver;
pub mod engines;
pub mod eventfd;
pub mod features;
pub mod frontend;
pub mod fs;
pub mod fuse;
pub mod fuzz;
pub mod guest;
pub mod image;
pub mod in_flight;
pub mod kernel_log;
pub mod lingering;
pub mod load;
pub mod memory;
pub mod orders;
pub mod ordinary;
pub mod private_mounts;
pub mod random;
pub mod reference;
pub mod requires;
pub mod served;
pub mod strace;
pub mod syslog;

#[expect(unsafe_code, reason = "shared memory, and system calls that std has no call for")]
mod sys;

/// What a test file wants to have at hand.
pub mod prelude {
    pub use vhost::vhost_user::message::{FrontendReq, VhostUserMemoryRegion};

    pub use crate::blk::{BlkQueue, Completion, Extent, Request, Status, UNMAP};
    pub use crate::bytes::Bytes;
    pub use crate::daemon::{Daemon, Exit};
    pub use crate::driver::{Descriptor, Queue, Segment, Used};
    pub use crate::features::*;
    pub use crate::frontend::{Frontend, Message, Outcome, Refused};
    pub use crate::image::{Image, SECTOR};
    pub use crate::in_flight::InFlightRegion;
    pub use crate::memory::{GuestMemory, RegionAt};
    pub use crate::on_each_engine;
    pub use crate::served::{Driven, Served, USUAL};
}

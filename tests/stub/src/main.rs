// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A daemon that looks like a network device or a file system to a driver, with nothing behind it.
//!
//! What it is good for: front ends bring a whole session to it, each in its own way, and stock
//! drivers start their rings. A frame that is sent is taken and forgotten, none is ever received;
//! a file system answers every request with ENOSYS.

mod args;
mod fs;
mod net;
mod stub;

use std::convert::Infallible;
use std::process::ExitCode;

use vhost_user_daemon::{Capabilities, Profile, Program};

use args::Args;
use stub::Stub;

const PROGRAM: Program = Program {
    name: "vhost-user-stub",
    capabilities: Capabilities { device_type: "rng", features: &[] },
    profile: Profile { system_calls: &[] },
};

fn main() -> ExitCode {
    vhost_user_daemon::run(&PROGRAM, |args: Args| Ok::<_, Infallible>(Stub::new(args.device)))
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A daemon that looks like a network device or a file system to a driver, with nothing behind it.
//!
//! What it is good for: front ends bring a whole session to it, each in its own way, and stock
//! drivers start their rings. A frame that is sent is taken and forgotten, none is ever received;
//! a file system answers every request with ENOSYS.

mod fs;
mod net;
mod stub;

use std::convert::Infallible;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use vhost_user_daemon::{Capabilities, CommonArgs, Program};

use stub::Stub;

const PROGRAM: Program = Program {
    name: "vhost-user-stub",
    capabilities: Capabilities { device_type: "rng", features: &[] },
};

fn main() -> ExitCode {
    vhost_user_daemon::run(&PROGRAM, |args: Args| Ok::<_, Infallible>(Stub::new(args.device)))
}

/// Pretend to be a device.
#[derive(Parser)]
struct Args {
    /// Pretend to be this one.
    #[arg(long, value_enum)]
    device: Kind,

    #[command(flatten)]
    common: CommonArgs,
}

/// What the daemon can pretend to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A network device of up to four queue pairs, with a control queue.
    Net,
    /// A file system of two request queues.
    Fs,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

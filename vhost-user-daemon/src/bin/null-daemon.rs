// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The smallest daemon: a device that takes every request and does nothing with it.
//!
//! It exists for the tests in `tests/process`, which start it as a process, and shows what a daemon
//! has to bring along.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use vhost_user_daemon::{Capabilities, CommonArgs, Profile, Program};
use vhost_user_device::{Device, DeviceQueue, Request, Turn, VirtioFeatures};

const PROGRAM: Program = Program {
    name: "null-daemon",
    capabilities: Capabilities { device_type: "rng", features: &["nothing"] },
    profile: Profile { system_calls: &[] },
};

fn main() -> ExitCode {
    vhost_user_daemon::run(&PROGRAM, |args: Args| match args.file {
        Some(path) => Null::open(path),
        None => Ok(Null),
    })
}

/// Serve a virtio device that does nothing.
#[derive(Parser)]
struct Args {
    /// Open PATH first, and do nothing with it.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,

    #[command(flatten)]
    common: CommonArgs,
}

impl AsRef<CommonArgs> for Args {
    fn as_ref(&self) -> &CommonArgs {
        &self.common
    }
}

struct Null;

impl Null {
    fn open(path: PathBuf) -> Result<Self, OpenError> {
        match File::open(&path) {
            Ok(_) => Ok(Self),
            Err(source) => Err(OpenError { path, source }),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("open {path:?}")]
struct OpenError {
    path: PathBuf,
    source: io::Error,
}

impl Device for Null {
    type Queue = NullQueue;
    const NAME: &'static str = "null";

    fn features(&self) -> VirtioFeatures {
        VirtioFeatures::default()
    }

    fn num_queues(&self) -> u16 {
        1
    }

    fn max_queue_size(&self) -> u16 {
        128
    }

    fn read_config(&self, _offset: u32, out: &mut [u8]) {
        out.fill(0);
    }

    fn start_queue(&self, _index: u16, _acked: VirtioFeatures) -> NullQueue {
        NullQueue
    }
}

struct NullQueue;

impl DeviceQueue for NullQueue {
    fn submit(&mut self, request: Request, turn: &mut Turn<'_>) {
        turn.complete(request, 0);
    }

    fn fail(_request: &Request) -> u32 {
        0
    }
}

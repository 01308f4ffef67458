// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The `vhost-user-blk` daemon: options to configuration to device; `vhost-user-daemon` does the
//! rest.

use std::process::ExitCode;

use vhost_user_blk::{Args, Blk, CAPABILITIES, Config, PROFILE};
use vhost_user_daemon::Program;

const PROGRAM: Program =
    Program { name: "vhost-user-blk", capabilities: CAPABILITIES, profile: PROFILE };

fn main() -> ExitCode {
    vhost_user_daemon::run(&PROGRAM, |args: Args| -> anyhow::Result<Blk> {
        let config = Config::try_from(args)?;
        Ok(Blk::open(&config)?)
    })
}

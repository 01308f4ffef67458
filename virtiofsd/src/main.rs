// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The `virtiofsd` daemon: options to configuration to device; `vhost-user-daemon` does the rest.

use std::process::ExitCode;

use vhost_user_daemon::Program;
use virtiofsd::{CAPABILITIES, PROFILE};

const PROGRAM: Program =
    Program { name: "virtiofsd", capabilities: CAPABILITIES, profile: PROFILE };

fn main() -> ExitCode {
    vhost_user_daemon::run_sharing(&PROGRAM, virtiofsd::judge, virtiofsd::open)
}

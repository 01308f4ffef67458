// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Runs a program with what a daemon shares mounted: `fs-bridge SOCKET MOUNTPOINT [--queues N] --
//! COMMAND...`. Nobody but the program sees the mount, and it ends with it; the exit code is the
//! program's.

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use vhost_user_tests::fs::Bridge;

fn main() -> Result<ExitCode> {
    let words: Vec<String> = env::args().skip(1).collect();
    let usage = "fs-bridge SOCKET MOUNTPOINT [--queues N] -- COMMAND...";
    let (ours, command) = match words.iter().position(|word| word == "--") {
        Some(at) => (&words[..at], &words[at + 1..]),
        None => (&words[..0], &words[..0]),
    };
    let (socket, place, queues) = match ours {
        [socket, place] => (socket, place, 1),
        [socket, place, option, queues] if option == "--queues" => {
            (socket, place, queues.parse().with_context(|| format!("--queues {queues}"))?)
        }
        _ => anyhow::bail!(usage),
    };
    let (program, arguments) = command.split_first().context(usage)?;
    ensure!(Bridge::can_be(), "this needs root, /dev/fuse and mounts of its own");
    let bridge = Bridge::mount_at(socket.as_ref(), queues, &PathBuf::from(place));
    let status = Command::new(program).args(arguments).status();
    let status = status.with_context(|| format!("run {program}"))?;
    drop(bridge);
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The project's own tasks: `cargo xtask test`, `fuzz`, `soak`, `bench`, `demo`, `man`,
//! `install`, `tidy` and `coverage`.
//!
//! A file or a folder for each; what they share: `cargo.rs` (the workspace), `command.rs` (programs
//! with a time limit), `suite` (tests, each in a process of its own).

#![expect(clippy::print_stdout, reason = "a task talks to the person who started it")]

mod bench;
mod cargo;
mod command;
mod coverage;
mod demo;
mod fuzz;
mod install;
mod man;
mod oracle;
mod soak;
mod suite;
mod task;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    task::Task::parse().run().unwrap_or_else(|error| {
        println!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

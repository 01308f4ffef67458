// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A directory of the host shared with a virtual machine: what the daemon adds to the file system.
//!
//! # Theory of operation
//!
//! `vhost-user-fs-lib` has the file system and its device, `vhost-user-daemon` the life of a process.
//! This crate turns what the user typed into what those two are told.
//!
//! - [`Args`] is what the user typed: every option of virtiofsd 1.14.0, with its meaning and its default,
//!   those that older programs use (`-o`, see `legacy`), and ours.
//! - [`Config`] is what is true once that has been judged: how the process lives (`Policy`), what it keeps
//!   within reach and what it is still capable of (`Share`, `rights`), how the directory is shared
//!   (`Options` of the file system), and what the device looks like.
//! - [`open()`] makes the device in the sandbox. What cannot work there because the process is not root's is
//!   said then (`lacking`), not when a guest runs into it.
//! - [`PROFILE`] has the system calls that serving files takes, beside those of every daemon.
//!
//! Differences from virtiofsd 1.14.0 are in `docs/virtiofsd.md`, each with its reason.

mod args;
mod config;
mod lacking;
mod legacy;
mod open;
mod profile;
mod rights;

pub use args::{
    Args, CAPABILITIES, CacheArgs, CacheMode, DirectoryArgs, FileHandlesMode, IdArgs,
    MigrationArgs, MigrationMode, NegotiationMode, OldArgs, OnError, ProcessArgs, QueueArgs,
    SandboxMode,
};
pub use config::{Config, ConfigError, judge};
pub use open::open;
pub use profile::PROFILE;
pub use rights::RightsError;

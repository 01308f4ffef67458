// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A FUSE server for virtio file systems, and a file system that shares a directory of the host.
//!
//! # Theory of operation
//!
//! ```text
//!  descriptor chain ─▶ virtio ─▶ server ─▶ FileSystem ─▶ passthrough ─▶ the host's directory
//!                                  │
//!                                 fuse   (the wire: structures and numbers)
//! ```
//!
//! # In a program of your own
//!
//! A [`Server`] takes requests from whatever is [`Incoming`] and writes answers to whatever is
//! [`Outgoing`]; [`Bytes`] and [`Room`] are those for memory of your own, and [`virtio`] has those for
//! virtqueues. What is served is a [`FileSystem`]: [`passthrough`] has one, and `examples/hello.rs` another,
//! which this machine's kernel mounts.

mod bytes;
mod filesystem;
mod fuse;
pub mod passthrough;
mod server;
#[expect(unsafe_code, reason = "the room for the system calls")]
mod sys;
mod transport;
pub mod virtio;

pub use bytes::{Bytes, Room};
pub use filesystem::*;
pub use server::{Limits, Outcome, Server, refuse};
pub use transport::{Incoming, Outgoing, Short, Sink, Source};

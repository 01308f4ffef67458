// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A shared file system, from its driver's side: requests of FUSE over a daemon's rings.
//!
//! [`FsClient`] says each request in one call, and any bytes at all instead of one. [`Bridge`] has
//! this machine's own kernel be the client: it mounts a file system in user space and carries what
//! the kernel asks to the daemon and back, so that programs use the daemon's files as they use any.
//!
//! The wire structures in [`wire`] are of the kernel's `include/uapi/linux/fuse.h`, and know nothing
//! of those of the daemon.

pub mod bridge;
pub mod client;
pub mod share;
pub mod wire;

#[expect(unsafe_code, reason = "reading and writing a file from shared memory, and mounting")]
mod sys;

pub use bridge::Bridge;
pub use client::FsClient;
pub use share::{Mounted, Shared};

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A virtio block device (virtio 1.3, section 5.2) over a file or a block device of the host.
//!
//! # Theory of operation
//!
//! [`Args`] is what the user typed; [`Config`] is what is true once that has been judged.
//! [`Blk::open`] opens the [`disk`], and from then on no path is used any more. `Blk` is the
//! device that `vhost-user-device` serves: it says features and config space, and for each
//! virtqueue that the front end starts it makes a `BlkQueue` on the thread that owns the queue.
//! Queues share the open file, and only flushes wait for each other.
//!
//! A request goes through three rooms. `request` and `disk` do not know each other's words:
//!
//! ```text
//!  vhost-user-device ──▶ device ──▶ request     bytes to meaning, or to a status
//!    descriptor chain       │
//!                           └─────▶ disk        preadv2, pwritev2, fdatasync
//! ```
//!
//! - [`request`] reads the first 16 bytes of the device-readable part, wherever the descriptors'
//!   borders are, and judges them together with the lengths of the two parts. It does no I/O and
//!   touches no guest memory. What it lets through lies within the disk.
//! - [`disk`] moves bytes between the file and guest memory, straight, by the kernel's copy:
//!   nothing here has a reference to guest memory. A short transfer is continued, a file that has
//!   become shorter is an error. The size is one number for all queues; the control thread has it
//!   read again when the operator says so, and the config space says the same.
//! - `device` writes the status, the last byte of the device-writable part, and completes the
//!   request. One that fails, by the driver's fault or by the host's, is counted by `faults`, and
//!   logged at most once in a while.
//!
//! Durability: a completed write is in the host's page cache; FLUSH puts it on stable storage. A
//! driver that cannot flush gets each write on stable storage before it is completed. After a
//! flush that failed no other one succeeds, since the host tells a loss only once.

mod args;
mod config;
mod device;
pub mod disk;
mod faults;
pub mod request;
mod space;
#[expect(unsafe_code, reason = "system calls that the standard library lacks")]
mod sys;

pub use args::Args;
pub use config::{Config, ConfigError, Serial};
pub use device::{Blk, BlkQueue};

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A virtio block device (virtio 1.3, section 5.2) over a file or a block device of the host.
//!
//! # Theory of operation
//!
//! [`Args`] is what the user typed; [`Config`] is what is true once that has been judged.
//! [`Blk::open`] opens and locks the [`disk`], and from then on no path is used any more. `Blk` is
//! the device that `vhost-user-device` serves: it says features and config space, and for each
//! virtqueue that the front end starts it makes a [`BlkQueue`] on the thread that owns the queue.
//! A queue has file descriptions of its own; all of them share the disk's size, the cache's mode,
//! and what was learned from operations that failed.
//!
//! A request goes through three rooms. `request` and `disk` do not know each other's words:
//!
//! ```text
//!  vhost-user-device ──▶ queue ──▶ request, segments   bytes to meaning, or to a status
//!    descriptor chain      │ ▲
//!                          │ └──── disk                which file, which way, what a result means
//!                          ▼
//!                 vhost-user-device                    operations on the file, their results
//! ```
//!
//! - [`request`] reads the first 16 bytes of the device-readable part, wherever the descriptors'
//!   borders are, and judges them together with the lengths of the two parts; [`segments`] does so
//!   with the ranges of a DISCARD or WRITE_ZEROES. Both do no I/O and touch no guest memory. What
//!   they let through lies within the disk.
//! - [`disk`] knows how the file was opened and what the host can do with it. The size is one
//!   number for all queues; the control thread has it read again when the operator or the kernel
//!   says so, and the config space says the same.
//! - `queue` starts operations, takes their results, writes the status, the last byte of the
//!   device-writable part, and completes the request. One that fails, by the driver's fault or by
//!   the host's, is counted by `faults`, and logged at most once in a while.
//!
//! Durability: a completed write is in the host's page cache or handed to the storage; FLUSH puts
//! it on stable storage. A driver that cannot flush, or wants its writes written through, gets each
//! of them on stable storage before it is completed. After a flush that failed no other one
//! succeeds, since the host tells a loss only once.

mod args;
mod block_backend;
mod cache;
mod config;
mod device;
pub mod disk;
mod faults;
mod profile;
mod queue;
pub mod request;
pub mod segments;
mod space;
#[expect(unsafe_code, reason = "system calls that the standard library lacks")]
mod sys;

pub use args::{Args, CAPABILITIES, CacheMode, DiscardMode, IoEngine, LockMode};
pub use config::{Config, ConfigError, Serial};
pub use device::{Blk, BlkError};
pub use profile::PROFILE;
pub use queue::BlkQueue;

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The driver's side of a split virtqueue (virtio 1.3, section 2.7).
//!
//! [`Queue::submit`] and [`Queue::wait`] do what a good driver does. Beneath them every field of
//! the rings can be written as it pleases a test: [`Queue::describe`], [`Queue::offer`],
//! [`Queue::set_available_index`].

mod queue;
mod rings;

pub use queue::{Queue, Used};
pub use rings::{Descriptor, INDIRECT, NEXT, NO_INTERRUPT, NO_NOTIFY, Rings, Segment, WRITE};

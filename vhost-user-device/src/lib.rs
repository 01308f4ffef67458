// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The data plane of a standalone vhost-user device.
//!
//! A device type implements [`Device`] and [`DeviceQueue`]; everything between a Unix socket and
//! a whole request is here.
//!
//! # Theory of operation
//!
//! [`Backend::start`] makes one thread per virtqueue. [`Backend::connect`] takes a socket on which
//! a front end speaks vhost-user and makes a [`Session`], which its owner's loop drives: the
//! session never waits. It parses each message, applies it to the connection's state, and tells
//! the queues concerned through their mailboxes. When all have acked, the message is answered and
//! the next one is read. So there is one owner for everything: the control thread for what was
//! negotiated, a queue's thread for the queue, and no lock between them.
//!
//! Guest memory is an immutable table in an `Arc`. A change makes a new table; every running queue
//! gets a new setup with it between two requests, and a request holds the table it was made with.
//!
//! A queue's thread takes descriptor chains from its ring, checks everything in them, and hands
//! each to the device as a [`Request`]: two lists of pieces of guest memory, and the obligation to
//! complete it. Used elements are published once per round, or after 50 microseconds, and the
//! driver is called once for all of them.
//!
//! A driver that writes nonsense into a chain gets it back with length 0. One that writes nonsense
//! into the ring itself stops that ring until the front end starts it again. A front end that
//! breaks the protocol loses its connection. None of them can do more.
//!
//! No command line, no paths, no signals, no `exit`, and no device's own words are in this crate.

mod device;
mod features;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz;
mod hooks;
mod io;
mod limit;
mod memory;
#[doc(hidden)]
pub mod planted;
mod queue;
#[cfg(test)]
mod random;
mod ring;
mod session;
#[expect(unsafe_code, reason = "system calls that the standard library has no name for")]
mod sys;

pub use device::{ConfigRefused, ConfigWriter, Device, DeviceQueue, Engine, WhenDisabled};
pub use features::VirtioFeatures;
pub use io::{Access, Finished, HostFile, Operation, SupplyError};
pub use limit::RateLimit;
pub use queue::{Turn, Waker};
pub use ring::{Buffers, OutOfRange, Request};
pub use session::{
    Backend, Ended, Interest, NoCpu, Phase, Session, StartError, Threads, turn_away,
};

/// An error and its causes, joined by `: `.
fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

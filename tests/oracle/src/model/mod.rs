// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a back end for this device has to keep in mind, and nothing else: no memory is mapped, no
//! queue is served. It is written from the specification, so that it is a second opinion on ours.

mod calls;
mod inflight;
mod memory;
mod rings;

use std::io;

use vhost::vhost_user::{Error, Result};

use inflight::Shape;
use memory::Memory;
use rings::Ring;

use crate::device::QUEUES;

/// The state of a connection.
#[derive(Debug, Default)]
pub struct Model {
    memory: Memory,
    rings: [Ring; QUEUES as usize],
    inflight: Option<Shape>,
}

impl Model {
    fn ring(&mut self, index: u32) -> Result<&mut Ring> {
        let ring = usize::try_from(index).ok().and_then(|index| self.rings.get_mut(index));
        ring.ok_or_else(|| refused("no such queue"))
    }

    /// Memory or a ring has changed.
    fn look_for_rings(&mut self) {
        for ring in &mut self.rings {
            ring.look_for(&self.memory);
        }
    }
}

/// A message that is not applied.
fn refused(why: &'static str) -> Error {
    Error::ReqHandlerError(io::Error::other(why))
}

/// The same for what a driver may provoke at will: the connection goes on even if nobody hears
/// of it.
fn refused_to_driver(why: &'static str) -> Error {
    Error::ReqHandlerError(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

/// Whether it is such a refusal.
pub(crate) fn is_harmless(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

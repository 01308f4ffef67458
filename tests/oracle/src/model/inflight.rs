// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The region in which requests in flight are tracked (vhost-user, "Inflight I/O tracking").

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use vhost::vhost_user::Result;
use vhost::vhost_user::message::VhostUserInflight;

use super::memory::can_be_mapped;
use super::refused;
use crate::device::{LONGEST, QUEUES};

/// What it has room for: so many queues, of so many descriptors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    queues: u16,
    pub(super) size: u16,
}

impl Shape {
    fn of(said: &VhostUserInflight) -> Self {
        Self { queues: said.num_queues, size: said.queue_size }
    }

    /// Bytes of a region: for each queue a header and as many states, of 16 bytes each, the whole
    /// a multiple of 64 bytes, as libvhost-user has it.
    fn len(self) -> u64 {
        u64::from(self.queues) * (16 * (1 + u64::from(self.size))).next_multiple_of(64)
    }

    /// The same, for a queue that it has room for.
    pub(super) fn for_queue(self, index: u32) -> Option<Self> {
        (index < u32::from(self.queues)).then_some(self)
    }
}

/// GET_INFLIGHT_FD's reply.
pub(super) fn new(said: &VhostUserInflight) -> Result<(VhostUserInflight, File)> {
    let shape = Shape::of(said);
    if !(1..=QUEUES).contains(&shape.queues) || !(1..=LONGEST).contains(&shape.size) {
        return Err(refused("the device has not so many queues, or none so long"));
    }
    let made = memfd_create("in-flight", MemfdFlags::CLOEXEC);
    let file: OwnedFd = made.map_err(|_| refused("no descriptor left"))?;
    ftruncate(&file, shape.len()).map_err(|_| refused("no memory left"))?;
    let reply = VhostUserInflight::new(shape.len(), 0, shape.queues, shape.size);
    Ok((reply, file.into()))
}

/// SET_INFLIGHT_FD, of a region that was never used. Another back end may have had more queues, and
/// longer ones.
pub(super) fn take(said: &VhostUserInflight, file: &File) -> Result<Shape> {
    let shape = Shape::of(said);
    if said.mmap_size < shape.len() || !said.mmap_offset.is_multiple_of(8) {
        return Err(refused("the in-flight region does not fit"));
    }
    let ours = Shape { queues: shape.queues.min(QUEUES), ..shape };
    can_be_mapped(file, said.mmap_offset, ours.len())?;
    Ok(ours)
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What is known of a ring.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use rustix::fs::FileType;
use vhost::vhost_user::Result;

use super::inflight::Shape;
use super::memory::Memory;
use super::refused;
use crate::device::LONGEST;

#[derive(Debug, Default)]
pub(super) struct Ring {
    size: u32,
    base: u32,
    /// User addresses of its three parts: descriptors, available, used.
    parts: Option<[u64; 3]>,
    running: Option<Running>,
}

/// A ring that was started.
#[derive(Debug)]
struct Running {
    /// Its position is in an in-flight region, not what was said.
    tracked: bool,
    /// Its memory was there once, and with it its position.
    found: bool,
}

impl Ring {
    pub(super) fn set_size(&mut self, size: u32) -> Result<()> {
        if !size.is_power_of_two() || size > u32::from(LONGEST) {
            return Err(refused("size"));
        }
        self.must_be_stopped()?;
        self.size = size;
        Ok(())
    }

    pub(super) fn set_base(&mut self, base: u32) -> Result<()> {
        if base > u32::from(u16::MAX) {
            return Err(refused("base"));
        }
        self.must_be_stopped()?;
        self.base = base;
        Ok(())
    }

    pub(super) fn set_parts(&mut self, parts: [u64; 3]) {
        self.parts = Some(parts);
    }

    /// Starts it, unless it runs already. `inflight` is the region that it is tracked in, if any.
    pub(super) fn start(&mut self, inflight: Option<Shape>) -> Result<()> {
        if self.size == 0 {
            return Err(refused("no size"));
        }
        if self.running.is_some() {
            return Ok(());
        }
        if inflight.is_some_and(|shape| u32::from(shape.size) < self.size) {
            return Err(refused("no room in the in-flight region"));
        }
        self.running = Some(Running { tracked: inflight.is_some(), found: false });
        Ok(())
    }

    /// Looks whether its memory is there now. A ring that is tracked goes on where the in-flight
    /// region says; in these sequences that is the beginning.
    pub(super) fn look_for(&mut self, memory: &Memory) {
        let (Some(running), Some([descriptors, available, used])) = (&mut self.running, self.parts)
        else {
            return;
        };
        let size = u64::from(self.size);
        let is_there = memory.has(descriptors, 16 * size)
            && memory.has(available, 6 + 2 * size)
            && memory.has(used, 6 + 8 * size);
        if is_there && !running.found {
            running.found = true;
            if running.tracked {
                self.base = 0;
            }
        }
    }

    /// Stops it, and says where. Nothing is ever available in the rings of these sequences.
    pub(super) fn stop(&mut self) -> u32 {
        self.running = None;
        self.base
    }

    fn must_be_stopped(&self) -> Result<()> {
        if self.running.is_some() { Err(refused("it runs")) } else { Ok(()) }
    }
}

/// Refuses what cannot notify: only event counters, pipes and sockets can.
pub(super) fn can_notify(file: Option<&File>) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    let mode = file.metadata().map_err(|_| refused("no metadata"))?.mode();
    match FileType::from_raw_mode(mode) {
        FileType::Fifo | FileType::Socket => Ok(()),
        // An event counter has no type at all.
        FileType::Unknown => Ok(()),
        _ => Err(refused("cannot notify")),
    }
}

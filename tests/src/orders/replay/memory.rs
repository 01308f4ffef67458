// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The guest's memory, as the messages of a session lay it out.

use std::sync::Arc;

use anyhow::{Context, Result};
use vhost::vhost_user::message::FrontendReq as Req;

use super::things::Things;
use crate::orders::Payload;
use crate::sys::Mapping;

/// Bytes of a region in a message.
const REGION: usize = 32;

/// The regions that the back end knows of.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(Vec<Region>);

/// A region, and where this process has it.
#[derive(Clone, Debug)]
pub(super) struct Region {
    pub(super) guest: u64,
    pub(super) len: u64,
    pub(super) user: u64,
    mapping: Arc<Mapping>,
}

/// A place in a region.
#[derive(Clone, Debug)]
pub(super) struct Place {
    mapping: Arc<Mapping>,
    offset: usize,
}

impl Memory {
    /// What it is after this message, if that is about memory.
    pub(super) fn apply(&mut self, request: Req, message: &Payload, things: &Things) -> Result<()> {
        match request {
            Req::SET_MEM_TABLE => {
                let count = usize::try_from(message.u32(0)).context("a number of regions")?;
                let regions = (0..count).map(|at| region(message, 8 + at * REGION, at, things));
                self.0 = regions.collect::<Result<_>>()?;
            }
            Req::ADD_MEM_REG => self.0.push(region(message, 8, 0, things)?),
            Req::REM_MEM_REG => {
                let (guest, len, user) = (message.u64(8), message.u64(16), message.u64(24));
                let same = |it: &Region| (it.guest, it.len, it.user) == (guest, len, user);
                let at = self.0.iter().position(same).context("find the region to remove")?;
                self.0.remove(at);
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn regions(&self) -> &[Region] {
        &self.0
    }

    /// Where the `len` bytes are that the front end has at `user`; `None` if not in one region.
    pub(super) fn of_user(&self, user: u64, len: u64) -> Option<Place> {
        let region = self.0.iter().find(|region| lies_in(user, len, region.user, region.len))?;
        Some(region.place(user - region.user))
    }
}

/// The region that `message` has at `at`, and the descriptor with this index.
fn region(message: &Payload, at: usize, index: usize, things: &Things) -> Result<Region> {
    let [guest, len, user, offset] = [0, 8, 16, 24].map(|field| message.u64(at + field));
    let descriptor = message.descriptors.get(index).context("a region without a descriptor")?;
    let file = things.file(descriptor.number)?;
    let size = usize::try_from(len).context("the length of a region")?;
    let mapping = Mapping::new(file, offset, size).context("map a region")?;
    Ok(Region { guest, len, user, mapping: Arc::new(mapping) })
}

/// Whether `len` bytes from `start` lie in the `room` bytes from `from`.
pub(super) fn lies_in(start: u64, len: u64, from: u64, room: u64) -> bool {
    start >= from && start - from <= room && len <= room - (start - from)
}

impl Region {
    /// The place `offset` bytes behind its beginning.
    pub(super) fn place(&self, offset: u64) -> Place {
        let offset = usize::try_from(offset).expect("an offset into our own memory");
        Place { mapping: Arc::clone(&self.mapping), offset }
    }
}

impl Place {
    pub(super) fn write(&self, at: usize, bytes: &[u8]) {
        self.mapping.write(self.offset + at, bytes);
    }

    pub(super) fn read(&self, at: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.mapping.read(self.offset + at, &mut bytes);
        bytes
    }

    pub(super) fn load(&self, at: usize) -> u16 {
        self.mapping.load(self.offset + at)
    }

    pub(super) fn store(&self, at: usize, value: u16) {
        self.mapping.store(self.offset + at, value);
    }
}

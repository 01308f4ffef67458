// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The log of the pages that the back end has written to.

use anyhow::{Context, Result};

use super::things::Things;
use crate::orders::Payload;
use crate::sys::Mapping;

/// Bytes of guest memory that have a bit.
const PAGE: u64 = 4096;

/// A log, as SET_LOG_BASE said it.
#[derive(Debug)]
pub(super) struct Log(Mapping);

impl Log {
    pub(super) fn of(message: &Payload, things: &Things) -> Result<Self> {
        let descriptor = message.descriptors.first().context("a log without a descriptor")?;
        let file = things.file(descriptor.number)?;
        let len = usize::try_from(message.u64(0)).context("the length of a log")?;
        Ok(Self(Mapping::new(file, message.u64(8), len).context("map a log")?))
    }

    /// Whether the page of the guest address `address` was written to.
    pub(super) fn has(&self, address: u64) -> bool {
        let mut byte = [0];
        self.0.read(byte_of(address), &mut byte);
        byte[0] & 1 << (address / PAGE % 8) != 0
    }

    /// Forgets that, of this page and its neighbours. Nobody may be writing.
    pub(super) fn clear(&self, address: u64) {
        self.0.write(byte_of(address), &[0]);
    }
}

fn byte_of(address: u64) -> usize {
    usize::try_from(address / PAGE / 8).expect("a byte of the log")
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A part of guest memory that somebody has.

use super::{GuestMemory, index};
use crate::bytes::Bytes;

/// A range of guest memory that is given back when the value is dropped.
#[derive(Debug)]
pub struct Buffer {
    memory: GuestMemory,
    start: u64,
    len: usize,
    taken: u64,
}

impl Buffer {
    /// The `len` bytes from `start`, of which `taken` were taken.
    pub(super) fn new(memory: &GuestMemory, start: u64, len: usize, taken: u64) -> Self {
        Self { memory: memory.clone(), start, len, taken }
    }

    /// Its guest address.
    pub fn address(&self) -> u64 {
        self.start
    }

    /// Where this process has its first byte mapped.
    pub fn host_address(&self) -> usize {
        let region = self.memory.region(self.start);
        region.host_address() + index(self.start - region.at().guest)
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What it has in it now.
    pub fn bytes(&self) -> Bytes {
        self.memory.read(self.start, self.len).into()
    }

    /// Puts `bytes` at its beginning.
    #[track_caller]
    pub fn write(&self, bytes: &[u8]) {
        assert!(bytes.len() <= self.len, "{} bytes into a buffer of {}", bytes.len(), self.len);
        self.memory.write(self.start, bytes);
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.memory.in_regions(self.start, self.taken, |region, start, len| {
            region.free().give_back(start, len);
        });
    }
}

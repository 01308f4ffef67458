// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The layout of a split virtqueue: descriptor table, available ring and used ring.

use virtio_bindings::bindings::virtio_ring::{
    VRING_AVAIL_F_NO_INTERRUPT, VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE,
    VRING_USED_F_NO_NOTIFY,
};

/// VIRTQ_DESC_F_NEXT: the chain goes on with the descriptor `next`.
pub const NEXT: u16 = low(VRING_DESC_F_NEXT);
/// VIRTQ_DESC_F_WRITE: the buffer is device-writable.
pub const WRITE: u16 = low(VRING_DESC_F_WRITE);
/// VIRTQ_DESC_F_INDIRECT: the buffer is a table of descriptors.
pub const INDIRECT: u16 = low(VRING_DESC_F_INDIRECT);
/// VIRTQ_AVAIL_F_NO_INTERRUPT: the driver wants no call.
pub const NO_INTERRUPT: u16 = low(VRING_AVAIL_F_NO_INTERRUPT);
/// VIRTQ_USED_F_NO_NOTIFY: the device wants no kick.
pub const NO_NOTIFY: u16 = low(VRING_USED_F_NO_NOTIFY);

#[expect(clippy::cast_possible_truncation, reason = "the flags are of 16 bits")]
const fn low(flag: u32) -> u16 {
    assert!(flag <= 0xffff);
    flag as u16
}

/// One descriptor, as it is in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// The guest address of the buffer.
    pub address: u64,
    /// Its length in bytes.
    pub len: u32,
    /// [`NEXT`], [`WRITE`], [`INDIRECT`].
    pub flags: u16,
    /// The next descriptor of the chain.
    pub next: u16,
}

impl Descriptor {
    /// Its length in a table.
    pub const SIZE: u64 = 16;

    /// It, as it is in memory.
    pub fn bytes(self) -> Vec<u8> {
        let mut bytes = self.address.to_le_bytes().to_vec();
        bytes.extend(self.len.to_le_bytes());
        bytes.extend(self.flags.to_le_bytes());
        bytes.extend(self.next.to_le_bytes());
        bytes
    }
}

/// A buffer that a chain is to have: part of it is linked into the chain, the rest is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its guest address.
    pub address: u64,
    /// Its length in bytes.
    pub len: u32,
    /// Whether it is device-writable.
    pub writable: bool,
}

impl Segment {
    /// A device-readable buffer.
    pub fn readable(address: u64, len: usize) -> Self {
        Self { address, len: u32::try_from(len).expect("the length of a buffer"), writable: false }
    }

    /// A device-writable buffer.
    pub fn writable(address: u64, len: usize) -> Self {
        Self { writable: true, ..Self::readable(address, len) }
    }

    /// Its descriptor at the end of a chain.
    pub fn last(self) -> Descriptor {
        let flags = if self.writable { WRITE } else { 0 };
        Descriptor { address: self.address, len: self.len, flags, next: 0 }
    }

    /// Its descriptor in a chain that goes on with the descriptor `next`.
    pub fn before(self, next: u16) -> Descriptor {
        let last = self.last();
        Descriptor { flags: last.flags | NEXT, next, ..last }
    }
}

/// The descriptors of a chain of `segments` in the slots of a table; as many as there are slots.
pub(super) fn linked(segments: &[Segment], slots: &[u16]) -> Vec<Descriptor> {
    let nexts = slots.iter().skip(1).map(Some).chain([None]);
    let link = |(segment, next): (&Segment, Option<&u16>)| match next {
        Some(next) => segment.before(*next),
        None => segment.last(),
    };
    segments.iter().zip(nexts).map(link).collect()
}

/// Where the three parts of a virtqueue are: guest addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rings {
    /// The descriptor table.
    pub descriptors: u64,
    /// The available ring.
    pub available: u64,
    /// The used ring.
    pub used: u64,
}

/// The lengths of the three parts for `size` descriptors, in bytes, each with its event index.
pub(super) fn lengths(size: u16) -> [usize; 3] {
    let size = usize::from(size);
    [16 * size, 6 + 2 * size, 6 + 8 * size]
}

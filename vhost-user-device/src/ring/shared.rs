// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The words of a split ring that driver and device share (virtio 1.3, section 2.7).
//!
//! Each method is one access with the memory order that the protocol needs, so that the protocol
//! itself is written once, in `split.rs`, for guest memory and for the model checker alike.

/// VIRTQ_DESC_F_NEXT: the chain goes on at `next`.
pub(crate) const NEXT: u16 = 1;
/// VIRTQ_DESC_F_WRITE: device-writable (else device-readable).
pub(crate) const WRITE: u16 = 2;
/// VIRTQ_DESC_F_INDIRECT: the buffer is a table of descriptors.
pub(crate) const INDIRECT: u16 = 4;

/// VIRTQ_AVAIL_F_NO_INTERRUPT: the driver wants no call.
pub(crate) const NO_INTERRUPT: u16 = 1;
/// VIRTQ_USED_F_NO_NOTIFY: the device wants no kick.
pub(crate) const NO_NOTIFY: u16 = 1;

/// One descriptor, as the driver wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// Guest address of the buffer.
    pub(crate) address: u64,
    /// Its length in bytes.
    pub(crate) len: u32,
    /// NEXT, WRITE, INDIRECT.
    pub(crate) flags: u16,
    /// Index of the next descriptor, if NEXT is set.
    pub(crate) next: u16,
}

impl Descriptor {
    /// Bytes of a descriptor in memory.
    pub(crate) const SIZE: usize = 16;

    /// Whether `flag` is set.
    pub(crate) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// The descriptor in these bytes, little-endian.
    pub(crate) fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        let word = u128::from_le_bytes(bytes);
        // Truncation takes the field out.
        #[expect(clippy::cast_possible_truncation, reason = "each cast takes one field out")]
        let (address, len, flags, next) =
            (word as u64, (word >> 64) as u32, (word >> 96) as u16, (word >> 112) as u16);
        Self { address, len, flags, next }
    }
}

/// The shared words of one split ring. `slot` is an index below the ring's size.
pub(crate) trait SharedRing {
    /// The ring's size in descriptors: a power of two.
    fn size(&self) -> u16;

    /// `avail.idx`, acquire: what the driver wrote before it is visible after.
    fn avail_idx(&self) -> u16;

    /// `avail.flags`, relaxed.
    fn avail_flags(&self) -> u16;

    /// `avail.ring[slot]`, relaxed: the head of a chain.
    fn avail_entry(&self, slot: u16) -> u16;

    /// `avail.used_event`, relaxed: the used index that the driver wants a call for.
    fn used_event(&self) -> u16;

    /// `used.idx`, relaxed; read once, at start.
    fn used_idx(&self) -> u16;

    /// Writes `used.ring[slot]`, relaxed.
    fn set_used_element(&self, slot: u16, head: u16, written: u32);

    /// Writes `used.idx`, release: what we wrote before it is visible with it.
    fn set_used_idx(&self, index: u16);

    /// Writes `used.flags`, relaxed.
    fn set_used_flags(&self, flags: u16);

    /// Writes `used.avail_event`, relaxed: the available index that we want a kick for.
    fn set_avail_event(&self, index: u16);

    /// A sequentially consistent fence: our writes before it are ordered before our reads after.
    fn fence(&self);

    /// Descriptor `slot` of the ring's own table.
    fn descriptor(&self, slot: u16) -> Descriptor;
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Virtio feature bits (virtio 1.3, section 6): offered by the device, then acked by the driver.
//!
//! Protocol features are a different thing with a type of their own,
//! [`vhost::vhost_user::message::VhostUserProtocolFeatures`].

use std::fmt;

/// A set of virtio feature bits.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct VirtioFeatures(u64);

impl VirtioFeatures {
    /// The set with the bits that are set in `bits`.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The set as SET_FEATURES and GET_FEATURES carry it.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// This set and the feature with number `bit` (0 to 63).
    #[must_use]
    pub const fn with(self, bit: u32) -> Self {
        Self(self.0 | 1 << bit)
    }

    /// Whether the feature with number `bit` (0 to 63) is in the set.
    pub const fn has(self, bit: u32) -> bool {
        self.0 & 1 << bit != 0
    }

    /// All that is in this set or in `other`.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// All that is in this set and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether no feature is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for VirtioFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VirtioFeatures({:#x})", self.0)
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Why a message cannot be applied.

use crate::ConfigRefused;
use crate::memory::{MapError, MemoryError};
use crate::ring::{RegionRefused, RingAddresses};

/// A message that cannot be applied. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub(in crate::session) enum Refusal {
    #[error("features {0:#x} were not offered")]
    Features(u64),
    #[error("protocol features {0:#x} were not offered")]
    ProtocolFeatures(u64),
    #[error("there is no queue {index} of {count}")]
    NoQueue { index: u32, count: usize },
    #[error("queue {index} is running")]
    Running { index: u32 },
    #[error("queue {index} has no size yet")]
    NoSize { index: u32 },
    #[error("queue {index}: size {num} is not a power of two up to {max}")]
    Size { index: u32, num: u32, max: u16 },
    #[error("queue {index}: {addresses:x?} are not aligned")]
    Misaligned { index: u32, addresses: RingAddresses },
    #[error("queue {index}: descriptor is no eventfd, pipe or socket")]
    Descriptor { index: u32 },
    #[error("queue {index}: base {base} is not a 16-bit index")]
    Base { index: u32, base: u32 },
    #[error("queue {index}: enable {value} is neither 0 nor 1")]
    Enable { index: u32, value: u32 },
    #[error("queue {index}: size {size} is more than the in-flight region has room for: {room}")]
    InflightRoom { index: u32, size: u16, room: u16 },
    #[error("change the memory table")]
    Memory(#[from] MemoryError),
    #[error("write the config space")]
    Config(#[from] ConfigRefused),
    #[error("flags {0:#x} of a write to the config space are not known")]
    ConfigFlags(u32),
    #[error("use the in-flight region")]
    Inflight(#[from] RegionRefused),
    #[error("map the dirty log")]
    Log(#[source] MapError),
    #[error("the dirty log has {0:#x} bytes, more than guest addresses need")]
    LogLength(u64),
    #[error("descriptor for the dirty log is no eventfd, pipe or socket")]
    LogDescriptor,
    #[error("descriptor for requests of the back end is no socket")]
    BackendChannel,
    #[error("status {0:#x} has more than eight bits")]
    Status(u64),
}

impl Refusal {
    /// Whether the connection cannot go on if the front end does not learn of the refusal. What
    /// a *driver* may provoke at will is not among that.
    pub(in crate::session) fn is_fatal(&self) -> bool {
        !matches!(self, Self::Config(_))
    }
}

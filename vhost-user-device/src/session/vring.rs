// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the front end has said about one virtqueue.

use std::sync::Arc;

use crate::VirtioFeatures;
use crate::memory::MemoryMap;
use crate::queue::Setup;
use crate::ring::{ChainRules, GuestRing, RingAddresses};
use crate::sys::Notifier;
use virtio_bindings::virtio_ring::VIRTIO_RING_F_INDIRECT_DESC;

/// The control thread's side of one virtqueue.
#[derive(Debug, Default)]
pub(super) struct Vring {
    /// SET_VRING_NUM; zero before it came.
    pub(super) size: u16,
    /// SET_VRING_ADDR, as it was said: translated anew at start and at every memory change.
    pub(super) addresses: Option<RingAddresses>,
    /// SET_VRING_BASE, or where the queue stopped.
    pub(super) next_avail: u16,
    pub(super) kick: Option<Arc<Notifier>>,
    pub(super) call: Option<Arc<Notifier>>,
    pub(super) err: Option<Arc<Notifier>>,
    /// SET_VRING_ENABLE; it survives everything but the connection.
    pub(super) enabled: bool,
    /// From SET_VRING_KICK to GET_VRING_BASE.
    pub(super) started: bool,
}

impl Vring {
    /// How the queue runs now.
    pub(super) fn setup(
        &self,
        memory: &Arc<MemoryMap>,
        acked: VirtioFeatures,
        always_enabled: bool,
        longest_chain: u16,
    ) -> Setup {
        let translated = |addresses| GuestRing::new(memory, addresses, self.size);
        Setup {
            ring: self.addresses.and_then(translated),
            features: acked,
            rules: ChainRules {
                indirect: acked.has(VIRTIO_RING_F_INDIRECT_DESC),
                longest: u32::from(longest_chain.max(self.size)),
            },
            enabled: self.enabled || always_enabled,
            kick: self.kick.clone(),
            call: self.call.clone(),
            err: self.err.clone(),
        }
    }
}

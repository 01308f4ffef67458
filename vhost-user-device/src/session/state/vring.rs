// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the front end has said about one virtqueue.

use std::sync::Arc;

use virtio_bindings::virtio_ring::VIRTIO_RING_F_INDIRECT_DESC;

use super::{LOG_ALL, PROTOCOL_FEATURES};
use crate::VirtioFeatures;
use crate::memory::{DirtyLog, MemoryMap};
use crate::queue::Setup;
use crate::ring::{ChainRules, GuestRing, RingAddresses, WriteLog};
use crate::sys::Notifier;

/// The control thread's side of one virtqueue.
#[derive(Debug, Default)]
pub(super) struct Vring {
    /// SET_VRING_NUM; zero before it came.
    pub(super) size: u16,
    /// SET_VRING_ADDR, as it was said: translated anew at start and at every memory change.
    pub(super) addresses: Option<RingAddresses>,
    /// SET_VRING_ADDR: where the used ring is for the dirty log, if it is to be logged.
    pub(super) log: Option<u64>,
    /// SET_VRING_BASE, or where the queue stopped.
    pub(super) next_avail: u16,
    pub(super) kick: Option<Arc<Notifier>>,
    pub(super) call: Option<Arc<Notifier>>,
    pub(super) err: Option<Arc<Notifier>>,
    /// SET_VRING_ENABLE; it survives all but RESET_OWNER, RESET_DEVICE and the connection's end.
    pub(super) enabled: bool,
    /// From SET_VRING_KICK to GET_VRING_BASE.
    pub(super) started: bool,
}

/// What the front end has said that counts for every virtqueue.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) memory: Arc<MemoryMap>,
    pub(super) acked: VirtioFeatures,
    pub(super) longest_chain: u16,
    pub(super) log: Option<Arc<DirtyLog>>,
    pub(super) log_notifier: Option<Arc<Notifier>>,
}

impl Vring {
    /// How the queue runs now.
    pub(super) fn setup(&self, terms: &Terms) -> Setup {
        let translated = |addresses| GuestRing::new(&terms.memory, addresses, self.size);
        let always_enabled = terms.acked.without(PROTOCOL_FEATURES) == terms.acked;
        let log = terms.log.as_ref().filter(|_| terms.acked.without(LOG_ALL) != terms.acked);
        Setup {
            ring: self.addresses.and_then(translated),
            features: terms.acked,
            rules: ChainRules {
                indirect: terms.acked.has(VIRTIO_RING_F_INDIRECT_DESC),
                longest: u32::from(terms.longest_chain.max(self.size)),
            },
            enabled: self.enabled || always_enabled,
            log: log.map(|log| WriteLog {
                log: Arc::clone(log),
                used_ring: self.log,
                notifier: terms.log_notifier.clone(),
            }),
            kick: self.kick.clone(),
            call: self.call.clone(),
            err: self.err.clone(),
        }
    }

    /// Forgets all but where to write notifications to.
    pub(super) fn reset(&mut self) {
        let (call, err) = (self.call.take(), self.err.take());
        *self = Self { call, err, ..Self::default() };
    }
}

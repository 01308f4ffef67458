// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Everything that the front end has said about a queue that runs: one immutable value.

use std::sync::Arc;

use virtio_bindings::virtio_ring::VIRTIO_RING_F_EVENT_IDX;

use crate::VirtioFeatures;
use crate::ring::{ChainRules, GuestRing, WriteLog};
use crate::sys::Notifier;

/// How a queue runs. Whatever of it changes, the owner gets a new one, whole; where it is in the
/// ring is the owner's own.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// The ring; `None` while its addresses do not translate.
    pub(crate) ring: Option<GuestRing>,
    /// What the driver acked.
    pub(crate) features: VirtioFeatures,
    /// What a chain may be.
    pub(crate) rules: ChainRules,
    /// SET_VRING_ENABLE, or no VHOST_USER_F_PROTOCOL_FEATURES.
    pub(crate) enabled: bool,
    /// Readable when the driver has made chains available; `None`: the ring must be polled.
    pub(crate) kick: Option<Arc<Notifier>>,
    /// Written to when requests are used; `None`: the driver polls the ring.
    pub(crate) call: Option<Arc<Notifier>>,
    /// Where what is written to guest memory is logged, while the front end wants that.
    pub(crate) log: Option<WriteLog>,
    /// Written to when the ring is broken.
    pub(crate) err: Option<Arc<Notifier>>,
}

impl Setup {
    /// Whether kicks and calls are suppressed by index (VIRTIO_F_EVENT_IDX).
    pub(super) fn event_idx(&self) -> bool {
        self.features.has(VIRTIO_RING_F_EVENT_IDX)
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a queue writes to guest memory, for the dirty log: buffers as their requests complete, and
//! the used ring where the front end wants that (VHOST_VRING_F_LOG).

use std::sync::Arc;

use super::request::Parts;
use crate::memory::DirtyLog;
use crate::sys::Notifier;

/// The dirty log of one queue, while there is one.
#[derive(Clone, Debug)]
pub(crate) struct WriteLog {
    pub(crate) log: Arc<DirtyLog>,
    /// Where the used ring is for the log, a guest address.
    pub(crate) used_ring: Option<u64>,
    /// SET_LOG_FD: written to when something was logged.
    pub(crate) notifier: Option<Arc<Notifier>>,
}

/// Bytes of the used ring before its elements, and of each (virtio 1.3, section 2.7.8).
const ELEMENTS: u64 = 4;
const ELEMENT: u64 = 8;

impl WriteLog {
    /// What the device wrote of a request's device-writable part.
    pub(super) fn buffers(&self, parts: &Parts) {
        for piece in parts.writable.parts(parts.wrote.clone()) {
            // A request's buffers lie in its own map.
            if let Some(start) = parts.memory.guest_address(piece.start().addr()) {
                self.log.mark(start, piece.len() as u64);
            }
        }
    }

    /// The used elements from one index to another were written, and the words at both ends of the
    /// ring: flags, index and event index.
    pub(super) fn used(&self, size: u16, from: u16, to: u16) {
        let Some(start) = self.used_ring else { return };
        let mark = |offset: u64, len| self.log.mark(start.saturating_add(offset), len);
        mark(0, ELEMENTS);
        mark(ELEMENTS + ELEMENT * u64::from(size), 2);
        let mut index = from;
        while index != to {
            mark(ELEMENTS + ELEMENT * u64::from(index & (size - 1)), ELEMENT);
            index = index.wrapping_add(1);
        }
    }

    /// Tells the front end, if it wants to hear, that pages were logged.
    pub(super) fn notify(&self) {
        if let Some(notifier) = &self.notifier {
            notifier.signal();
        }
    }
}

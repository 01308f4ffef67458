// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The mode of the write cache, which a driver may change (virtio 1.3, section 5.2.5).

use std::sync::atomic::{AtomicBool, Ordering};

use vhost_user_device::RateLimit;

/// Whether writes stay in a cache until a flush. The control thread changes it, all queues look.
#[derive(Debug)]
pub(crate) struct WriteCache {
    writeback: AtomicBool,
    /// The operator has it so, and no driver can change it.
    always_through: bool,
    /// A driver may change it without end.
    said: RateLimit,
}

impl WriteCache {
    /// The mode that the operator chose: write-through for good, or write-back until a driver wants
    /// it otherwise.
    pub(crate) fn new(always_through: bool) -> Self {
        let writeback = AtomicBool::new(!always_through);
        Self { writeback, always_through, said: RateLimit::new() }
    }

    /// Whether what is written from now on goes through to stable storage.
    #[inline]
    pub(crate) fn is_written_through(&self) -> bool {
        !self.writeback.load(Ordering::Acquire)
    }

    /// Takes what a driver wrote to the config space's field `writeback`; false if it is no mode. One
    /// that is not to be had is taken for a wish: the driver finds in the field what became of it.
    pub(crate) fn set(&self, field: u8) -> bool {
        let writeback = match field {
            0 => false,
            1 => !self.always_through,
            _ => return false,
        };
        if self.writeback.swap(writeback, Ordering::AcqRel) != writeback
            && let Some(suppressed) = self.said.allow()
        {
            let mode = if writeback { "back" } else { "through" };
            log::info!(
                "the driver has its writes written {mode} from now on ({suppressed} more before)"
            );
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_is_what_was_set_last() {
        let cache = WriteCache::new(false);
        assert!(!cache.is_written_through());
        assert!(cache.set(0));
        assert!(cache.is_written_through());
        assert!(cache.set(1));
        assert!(!cache.is_written_through());
    }

    #[test]
    fn field_that_is_no_mode_changes_nothing() {
        let cache = WriteCache::new(true);
        for field in [2, 255] {
            assert!(!cache.set(field));
            assert!(cache.is_written_through());
        }
    }

    #[test]
    fn mode_of_the_operator_stays_whatever_a_driver_wants() {
        let cache = WriteCache::new(true);
        for field in [1, 0, 1] {
            assert!(cache.set(field));
            assert!(cache.is_written_through());
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The mode of the write cache, which a driver may change (virtio 1.3, section 5.2.5).

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether writes stay in a cache until a flush. The control thread changes it, all queues look.
#[derive(Debug)]
pub(crate) struct WriteCache {
    writeback: AtomicBool,
}

impl WriteCache {
    pub(crate) fn new(writeback: bool) -> Self {
        Self { writeback: AtomicBool::new(writeback) }
    }

    /// Whether what is written from now on goes through to stable storage.
    #[inline]
    pub(crate) fn is_written_through(&self) -> bool {
        !self.writeback.load(Ordering::Acquire)
    }

    /// Takes what a driver wrote to the config space's field `writeback`; false if it is no mode.
    pub(crate) fn set(&self, field: u8) -> bool {
        let writeback = match field {
            0 => false,
            1 => true,
            _ => return false,
        };
        if self.writeback.swap(writeback, Ordering::AcqRel) != writeback {
            let mode = if writeback { "back" } else { "through" };
            log::info!("the driver has its writes written {mode} from now on");
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_is_what_was_set_last() {
        let cache = WriteCache::new(true);
        assert!(!cache.is_written_through());
        assert!(cache.set(0));
        assert!(cache.is_written_through());
        assert!(cache.set(1));
        assert!(!cache.is_written_through());
    }

    #[test]
    fn field_that_is_no_mode_changes_nothing() {
        let cache = WriteCache::new(false);
        for field in [2, 255] {
            assert!(!cache.set(field));
            assert!(cache.is_written_through());
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Which flush waits for which fdatasync(2).

use std::mem;

/// The flushes of a queue: one operation is under way at a time. Those that come meanwhile cannot
/// share it, since it may have looked at the file's pages before what they are to cover was written;
/// all of them share the next one.
#[derive(Debug)]
pub(super) struct Flushes<T> {
    under_way: bool,
    /// They share the operation that is under way with the one that it was started for.
    sharing: Vec<T>,
    waiting: Vec<T>,
}

impl<T> Default for Flushes<T> {
    fn default() -> Self {
        Self { under_way: false, sharing: Vec::new(), waiting: Vec::new() }
    }
}

impl<T> Flushes<T> {
    /// Takes one more; it comes back if the operation is to be started for it now.
    pub(super) fn add(&mut self, flush: T) -> Option<T> {
        if self.under_way {
            self.waiting.push(flush);
            return None;
        }
        self.under_way = true;
        Some(flush)
    }

    /// The operation has ended: those that shared it.
    pub(super) fn end(&mut self) -> Vec<T> {
        self.under_way = false;
        mem::take(&mut self.sharing)
    }

    /// After [`Flushes::end`]: the one that the next operation is to be started for, if some wait.
    pub(super) fn next(&mut self) -> Option<T> {
        debug_assert!(self.sharing.is_empty() && !self.under_way, "one has not ended");
        mem::swap(&mut self.sharing, &mut self.waiting);
        let first = self.sharing.pop();
        self.under_way = first.is_some();
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flush_while_none_is_under_way_is_started() {
        let mut flushes = Flushes::<u8>::default();
        assert_eq!(flushes.add(1), Some(1));
        assert!(flushes.end().is_empty());
        assert_eq!(flushes.next(), None);
        assert_eq!(flushes.add(2), Some(2));
    }

    #[test]
    fn flushes_that_come_meanwhile_share_the_next_one() {
        let mut flushes = Flushes::<u8>::default();
        assert_eq!(flushes.add(1), Some(1));
        for later in [2, 3, 4] {
            assert_eq!(flushes.add(later), None);
        }
        assert!(flushes.end().is_empty(), "none shares the first one");
        assert_eq!(flushes.next(), Some(4));
        assert_eq!(flushes.add(5), None);
        assert_eq!(flushes.end(), [2, 3]);
        assert_eq!(flushes.next(), Some(5));
        assert!(flushes.end().is_empty());
        assert_eq!(flushes.next(), None);
    }
}

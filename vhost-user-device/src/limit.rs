// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Limits how often a line that a driver or a front end can provoke is logged.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::planted::Planted;

/// The least time between two lines of one limit.
const INTERVAL: Duration = Duration::from_secs(10);

/// One line of log per ten seconds, and a count of those that were not written.
#[derive(Debug, Default)]
pub struct RateLimit {
    /// Milliseconds since the first use of any limit, from which the next line may be written.
    next: AtomicU64,
    suppressed: AtomicU64,
}

impl RateLimit {
    /// A limit that has let nothing through yet.
    pub const fn new() -> Self {
        Self { next: AtomicU64::new(0), suppressed: AtomicU64::new(0) }
    }

    /// Whether to write a line now: `Some(n)` says yes, and that `n` lines were held back since
    /// the last one.
    pub fn allow(&self) -> Option<u64> {
        static EPOCH: OnceLock<Instant> = OnceLock::new();
        self.allow_at(EPOCH.get_or_init(Instant::now).elapsed())
    }

    fn allow_at(&self, now: Duration) -> Option<u64> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let after = millis(now + INTERVAL);
        let mine = millis(now) >= next
            && self
                .next
                .compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !mine && !Planted::Limit.is_here() {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.suppressed.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_interval_and_the_next_says_how_many_were_held_back() {
        let limit = RateLimit::new();
        let at = |seconds| limit.allow_at(Duration::from_secs(seconds));
        assert_eq!(at(1), Some(0));
        assert_eq!(at(2), None);
        assert_eq!(at(10), None);
        assert_eq!(at(11), Some(2));
        assert_eq!(at(12), None);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! How long a thread that has run out of work looks for more before it sleeps.
//!
//! To be woken costs many times what a request does. So a thread looks for work a while longer, if
//! sleeps have been so short lately that this would have spared them; after a long sleep it looks
//! no more, until there is a reason to.

use std::time::Duration;

/// The first step from nothing.
const FIRST: Duration = Duration::from_micros(4);

/// How long it pays to look for work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Polling {
    longest: Duration,
    window: Duration,
}

impl Polling {
    /// `longest` is never exceeded; zero: never looks.
    pub(super) fn new(longest: Duration) -> Self {
        Self { longest, window: Duration::ZERO }
    }

    /// How long to look now.
    #[inline]
    pub(super) fn window(&self) -> Duration {
        self.window
    }

    /// The thread has slept, and the next work came `idle` after the last.
    pub(super) fn slept(&mut self, idle: Duration) {
        self.window = if idle > self.longest {
            Duration::ZERO
        } else {
            (self.window * 2).max(FIRST).min(self.longest)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_micros(32);

    #[test]
    fn window_is_closed_at_the_start() {
        assert_eq!(Polling::new(LONGEST).window(), Duration::ZERO);
    }

    #[test]
    fn short_sleeps_widen_the_window_to_its_bound() {
        let mut polling = Polling::new(LONGEST);
        let windows = [(); 5].map(|()| {
            polling.slept(LONGEST);
            polling.window().as_micros()
        });
        assert_eq!(windows, [4, 8, 16, 32, 32]);
    }

    #[test]
    fn long_sleep_closes_the_window() {
        let mut polling = Polling::new(LONGEST);
        polling.slept(LONGEST);
        polling.slept(LONGEST + Duration::from_nanos(1));
        assert_eq!(polling.window(), Duration::ZERO);
    }

    #[test]
    fn window_stays_closed_without_polling() {
        let mut polling = Polling::new(Duration::ZERO);
        polling.slept(Duration::ZERO);
        assert_eq!(polling.window(), Duration::ZERO);
    }
}

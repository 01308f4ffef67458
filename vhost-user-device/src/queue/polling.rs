// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Whether a thread that has run out of work looks for more before it sleeps.
//!
//! To be woken costs many times what a request does, so a thread looks for work a while longer, for
//! as long as it finds some that way: each time that it does pays for a part of one in vain. When
//! nothing is left to pay with, it sleeps at once more and more often, until it finds work again; so
//! a queue that is seldom used costs next to nothing.

use std::time::Duration;

/// What it costs to look in vain, in times that work was found.
const PRICE: u32 = 2;

/// How many times that work was found are remembered.
const MOST_CREDIT: u32 = 8;

/// After how many times in vain in a row no more sleeps are added.
const MOST_IN_VAIN: u32 = 6;

/// When it pays to look for work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Polling {
    window: Duration,
    credit: u32,
    /// How many times in a row there was nothing, and nothing to pay for it.
    in_vain: u32,
    /// How many times to sleep at once before the next attempt.
    sleeps: u32,
}

impl Polling {
    /// Looks for work at most so long; zero: never.
    pub(super) fn new(window: Duration) -> Self {
        Self { window, credit: 0, in_vain: 0, sleeps: 0 }
    }

    /// How long to look this time, if at all.
    #[inline]
    pub(super) fn window(&mut self) -> Option<Duration> {
        if self.sleeps != 0 {
            self.sleeps -= 1;
            return None;
        }
        Some(self.window).filter(|window| !window.is_zero())
    }

    /// There was work, or there was none.
    #[inline]
    pub(super) fn looked(&mut self, found: bool) {
        if found {
            self.credit = (self.credit + 1).min(MOST_CREDIT);
            self.in_vain = 0;
        } else if let Some(left) = self.credit.checked_sub(PRICE) {
            self.credit = left;
        } else {
            self.credit = 0;
            self.in_vain = (self.in_vain + 1).min(MOST_IN_VAIN);
            self.sleeps = (1 << self.in_vain) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_micros(32);

    /// How many times the thread sleeps at once before it looks again.
    fn sleeps(polling: &mut Polling) -> usize {
        (0..).find(|_| polling.window().is_some()).unwrap()
    }

    #[test]
    fn work_is_looked_for_as_long_as_it_is_found() {
        let mut polling = Polling::new(WINDOW);
        for _ in 0..3 {
            assert_eq!(polling.window(), Some(WINDOW));
            polling.looked(true);
        }
    }

    #[test]
    fn each_time_in_vain_adds_sleeps_up_to_a_bound() {
        let mut polling = Polling::new(WINDOW);
        let sleeps = [(); 8].map(|()| {
            polling.looked(false);
            sleeps(&mut polling)
        });
        assert_eq!(sleeps, [1, 3, 7, 15, 31, 63, 63, 63]);
    }

    #[test]
    fn work_that_is_found_pays_for_some_in_vain() {
        let mut polling = Polling::new(WINDOW);
        (0..5).for_each(|_| polling.looked(true));
        let sleeps = [(); 4].map(|()| {
            polling.looked(false);
            sleeps(&mut polling)
        });
        assert_eq!(sleeps, [0, 0, 1, 3]);
    }

    #[test]
    fn work_that_is_found_long_ago_pays_for_nothing() {
        let mut polling = Polling::new(WINDOW);
        (0..100).for_each(|_| polling.looked(true));
        let in_vain = (1..).find(|_| {
            polling.looked(false);
            sleeps(&mut polling) != 0
        });
        assert_eq!(in_vain, Some(5));
    }

    #[test]
    fn work_that_is_found_again_ends_the_sleeps() {
        let mut polling = Polling::new(WINDOW);
        for _ in 0..5 {
            polling.looked(false);
        }
        sleeps(&mut polling);
        polling.looked(true);
        polling.looked(false);
        assert_eq!(sleeps(&mut polling), 1);
    }

    #[test]
    fn nothing_is_looked_for_without_a_window() {
        let mut polling = Polling::new(Duration::ZERO);
        assert_eq!((polling.window(), polling.window()), (None, None));
    }
}

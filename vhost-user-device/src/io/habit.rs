// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Whether what usually does not wait has waited lately.

use std::time::{Duration, Instant};

/// Whoever needs longer has waited for the host.
const QUICK: Duration = Duration::from_millis(1);

/// How long nothing is tried at once after that.
const PAUSE: Duration = Duration::from_millis(50);

/// Of things that may wait, but hardly ever do: a write to the page cache waits when the host has
/// too many dirty pages, and then it is one of many that do.
#[derive(Debug, Default)]
pub(super) struct Habit {
    not_before: Option<Instant>,
}

impl Habit {
    /// Tries it, unless it has waited lately.
    pub(super) fn attempt<T>(&mut self, it: impl FnOnce() -> T) -> Option<T> {
        let began = Instant::now();
        if self.not_before.is_some_and(|time| began < time) {
            return None;
        }
        let result = it();
        let now = Instant::now();
        let slow = now.duration_since(began) > QUICK;
        self.not_before = slow.then(|| now + PAUSE);
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn quick_attempt_is_followed_by_another() {
        let mut habit = Habit::default();
        assert_eq!(habit.attempt(|| 1), Some(1));
        assert_eq!(habit.attempt(|| 2), Some(2));
    }

    #[test]
    fn attempt_that_waited_is_followed_by_a_pause() {
        let mut habit = Habit::default();
        assert_eq!(habit.attempt(|| thread::sleep(2 * QUICK)), Some(()));
        assert_eq!(habit.attempt(|| ()), None);
        habit.not_before = Some(Instant::now());
        assert_eq!(habit.attempt(|| ()), Some(()));
    }
}

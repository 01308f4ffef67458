// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Whether what usually does not wait has waited lately.

use std::time::{Duration, Instant};

/// Whoever needs longer has waited for the host.
const QUICK: Duration = Duration::from_millis(1);

/// How long nothing is tried at once after that; each time in a row that it waits, the pause is four
/// times as long, up to a bound.
const PAUSE: Duration = Duration::from_millis(50);
const MOST_SLOW: u32 = 4;

/// Of things that may wait, but hardly ever do: a write to the page cache waits when the host has
/// too many dirty pages, and then it is one of many that do.
#[derive(Debug, Default)]
pub(super) struct Habit {
    not_before: Option<Instant>,
    /// How often in a row it has waited.
    slow: u32,
}

impl Habit {
    /// Tries it, unless it has waited lately.
    #[inline]
    pub(super) fn attempt<T>(&mut self, it: impl FnOnce() -> T) -> Option<T> {
        let began = Instant::now();
        if self.not_before.is_some_and(|time| began < time) {
            return None;
        }
        let result = it();
        let now = Instant::now();
        if now.duration_since(began) <= QUICK {
            (self.not_before, self.slow) = (None, 0);
        } else {
            self.not_before = Some(now + PAUSE * 4_u32.pow(self.slow));
            self.slow = (self.slow + 1).min(MOST_SLOW);
        }
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

    #[test]
    fn pause_grows_each_time_in_a_row_up_to_a_bound() {
        let mut habit = Habit::default();
        let pauses = [(); 6].map(|()| {
            habit.not_before = None;
            habit.attempt(|| thread::sleep(2 * QUICK));
            let pause = habit.not_before.expect("a pause") - Instant::now();
            // The clock has gone on a little since.
            (pause + QUICK * 10).as_millis() / PAUSE.as_millis()
        });
        assert_eq!(pauses, [1, 4, 16, 64, 256, 256]);
        habit.not_before = None;
        habit.attempt(|| ());
        assert_eq!(habit.slow, 0);
    }
}

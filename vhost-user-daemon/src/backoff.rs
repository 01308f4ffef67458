// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Patience, for what may work later.

use std::time::Duration;

/// How long to wait before the next try: from 50 ms, doubled each time, up to 1 s.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    const SHORTEST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(1);

    pub(crate) fn new() -> Self {
        Self { next: Self::SHORTEST }
    }

    /// The wait before the next try.
    pub(crate) fn after_failure(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(Self::LONGEST);
        wait
    }

    /// Notes that it worked, for as long as `lasted`. What breaks at once may break for ever, so
    /// only a success that lasted as long as the longest wait counts as one.
    pub(crate) fn after_success(&mut self, lasted: Duration) {
        if lasted >= Self::LONGEST {
            self.next = Self::SHORTEST;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_after_failures_doubles_up_to_a_second() {
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..7).map(|_| backoff.after_failure().as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn backoff_after_a_lasting_success_begins_anew() {
        let mut backoff = Backoff::new();
        backoff.after_failure();
        backoff.after_success(Duration::from_secs(1));
        assert_eq!(backoff.after_failure().as_millis(), 50);
    }

    #[test]
    fn backoff_after_a_short_success_goes_on_growing() {
        let mut backoff = Backoff::new();
        backoff.after_failure();
        backoff.after_success(Duration::from_millis(999));
        assert_eq!(backoff.after_failure().as_millis(), 100);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! How often each operation was asked for.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::fuse::Opcode;

/// Threads share counters only if there are more of them, so that they seldom take a cache line from each
/// other.
const STRIPES: usize = 8;

/// One more than the largest opcode.
const OPCODES: usize = 54;

/// Counters for all opcodes; what is unknown is opcode 0.
#[derive(Default)]
pub(super) struct Counts([Stripe; STRIPES]);

#[repr(align(128))]
struct Stripe([AtomicU64; OPCODES]);

impl Default for Stripe {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; OPCODES])
    }
}

impl Counts {
    pub(super) fn count(&self, opcode: Option<Opcode>) {
        thread_local! {
            static STRIPE: usize = next_stripe();
        }
        let stripe = STRIPE.with(|stripe| self.0.get(*stripe));
        let number = opcode.map_or(0, |opcode| opcode as usize);
        if let Some(counter) = stripe.and_then(|stripe| stripe.0.get(number)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn of(&self, opcode: u32) -> u64 {
        let number = usize::try_from(opcode).unwrap_or(usize::MAX);
        let counters = self.0.iter().filter_map(|stripe| stripe.0.get(number));
        counters.map(|counter| counter.load(Ordering::Relaxed)).sum()
    }
}

fn next_stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_all_threads_are_one() {
        let counts = Counts::default();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| counts.count(Some(Opcode::Lookup)));
            }
        });
        counts.count(None);
        assert_eq!([counts.of(1), counts.of(0), counts.of(2), counts.of(9999)], [20, 1, 0, 0]);
    }

    #[test]
    fn every_opcode_has_a_counter() {
        for (opcode, number, name) in Opcode::ALL {
            let counts = Counts::default();
            counts.count(Some(*opcode));
            assert_eq!(counts.of(*number), 1, "{name}");
        }
    }
}

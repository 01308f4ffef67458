// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The ring against drivers, good and bad ones.
//!
//! `driver.rs` is the driver's side of a ring, `bench.rs` a ledger with such a driver at its other
//! end. `chains.rs` is about what a chain may be, `oracle.rs` compares our reading of chains with
//! another implementation's, `ledger.rs` and `inflight.rs` are about requests and their ends, `threads.rs` lets the
//! two sides run against each other, `crash.rs` ends the device's side before each store, and `loom.rs` does so in every possible order.

mod bench;
mod chains;
mod crash;
mod driver;
mod inflight;
mod ledger;
#[cfg(loom)]
mod loom;
mod oracle;
#[expect(unsafe_code, reason = "an allocator that counts")]
mod sys;
mod threads;

pub(super) use crash::before_store;

/// Numbers that look random (xorshift64); the same seed gives the same ones.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        assert_ne!(seed, 0, "zero stays zero");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `times`.
    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

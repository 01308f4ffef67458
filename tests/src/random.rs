// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Numbers that look random, and can be had again.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

/// A small generator (xorshift64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The generator that begins with `seed`.
    pub fn of(seed: u64) -> Self {
        // Zero would stay zero, and neighbours would begin alike.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The number that VHOST_USER_TEST_SEED in the environment says; without it another one each
    /// time. Whoever uses it prints it, so that what it led to can be had again.
    pub fn seed() -> u64 {
        let said = env::var("VHOST_USER_TEST_SEED").ok();
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |age| age.as_secs());
        said.map_or_else(now, |seed| seed.parse().expect("a number in VHOST_USER_TEST_SEED"))
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One of the numbers below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        (self.number() >> 11) % end
    }
}

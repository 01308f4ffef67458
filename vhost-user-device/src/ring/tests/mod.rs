// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The ring against drivers, good and bad ones.
//!
//! `driver.rs` is the driver's side of a ring, `bench.rs` a ledger with such a driver at its other
//! end. `chains.rs` is about what a chain may be, `oracle.rs` compares our reading of chains with
//! another implementation's, `ledger.rs`, `inflight.rs` and `written.rs` are about requests and
//! their ends, `crash.rs` ends the device's side before any store, `threads.rs` lets the two sides
//! run against each other, and `loom.rs` does so in every possible order. `instructions.rs` is what
//! callgrind counts.

pub(crate) mod bench;
mod chains;
// Not where instructions are counted.
#[cfg(debug_assertions)]
mod crash;
pub(crate) mod driver;
mod inflight;
mod instructions;
mod ledger;
#[cfg(loom)]
mod loom;
mod oracle;
#[expect(unsafe_code, reason = "an allocator that counts")]
mod sys;
mod threads;
mod transfers;
// Miri maps no files.
#[cfg(not(miri))]
mod written;

#[cfg(debug_assertions)]
pub(super) use crash::before_store;

use crate::random::Random;

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Virtqueues in guest memory, device side (virtio 1.3, section 2.7).
//!
//! `shared.rs` names the words that driver and device share, `split.rs` is the protocol on them,
//! `chain.rs` makes two lists of `buffers.rs` from a head, `request.rs` is the token that must
//! come back, `ledger.rs` keeps them together; `inflight.rs` leaves word of what was taken to the
//! back end after us, `written.rs` of what was written to a front end that migrates the guest;
//! `guest.rs` alone touches guest memory.

mod buffers;
mod chain;
#[cfg(fuzzing)]
pub mod fuzz;
#[expect(unsafe_code, reason = "guest memory has no references, only addresses")]
mod guest;
mod inflight;
mod ledger;
mod request;
pub(crate) mod shared;
mod split;
mod written;

pub(crate) use chain::ChainRules;
pub(crate) use guest::{GuestRing, Piece, RingAddresses};
pub(crate) use inflight::{
    Inflight, InflightRegion, InflightShape, RegionRefused, new_region, region_len,
};
pub(crate) use ledger::{Ledger, Popped};
pub(crate) use split::RingBroken;
pub(crate) use written::WriteLog;

pub(crate) use buffers::MOST_KEPT;
pub use buffers::{Buffers, OutOfRange};
pub use request::Request;

#[cfg(test)]
pub(crate) mod tests;

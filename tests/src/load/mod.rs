// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A load generator for block devices: a driver that costs next to nothing.
//!
//! The other modules drive a device so that nothing it does escapes a test. This one drives it as
//! fast as it goes: every request has a slot whose header, buffer and descriptors were written
//! beforehand, and nothing is allocated or copied on the way. It works with any vhost-user back end
//! for block devices, and prints what it found as one line of JSON: `src/bin/bench-blk.rs` says how
//! it is asked.

mod ceiling;
mod connect;
mod driver;
mod file;
mod layout;
mod pattern;
mod process;
mod queue;
mod report;
mod task;
mod words;

#[expect(
    unsafe_code,
    reason = "atomics in shared memory, and system calls that std has no call for"
)]
mod sys;

pub use task::run;

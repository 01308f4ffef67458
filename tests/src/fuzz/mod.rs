// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Fuzzing of a whole daemon: the built program, over its socket, with all that it has switched on.
//!
//! A front end that is as hostile as it can be plays rounds against it. What it does in a round is a
//! [`script`]: made up by `author.rs`, from a seed, or changed from one that reached something new.
//! `player/` plays it, with a `land.rs` of shared memory, `requests.rs`, `things.rs` to pass where other
//! descriptors belong, and `twist.rs` for what can be wrong about a message; meanwhile `rewriter.rs`
//! changes the shared memory from another thread. After each round `watch.rs` looks whether the daemon
//! is still what it was: it serves a front end that behaves, and has no more descriptors and memory than
//! before. `life.rs` has it from its start to its end by SIGTERM, `hunt.rs` one life after the other.
//! Scripts are kept that have an instrumented daemon do what it never did before (`coverage.rs`), and what
//! breaks a daemon is written down (`record.rs`).

mod author;
mod coverage;
mod hunt;
mod land;
mod life;
mod player;
mod record;
mod requests;
mod rewriter;
pub mod script;
mod served;
mod setting;
mod things;
mod twist;
mod watch;
mod wire;

pub use hunt::{Broken, Hunt, Tally};
pub use life::{Fault, Target, keep_panics_quiet};
pub use record::{NoRecord, Record};
pub use setting::{Abilities, Setting};

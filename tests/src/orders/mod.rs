// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The order in which a front end sends its messages, as a file that people can read.
//!
//! An [`Order`] is what one front end said in one session, message by message, with what the back
//! end answered: [`Recorder`] stands between a running front end and a running back end and writes
//! it down, [`replay`] says it again to a daemon and compares the answers. [`text`] has the form of
//! the files, which are in `tests/fixtures/orders`.
//!
//! A replay needs no front end and no guest. Payloads go out as they were recorded: the addresses
//! that a front end had its memory at are only numbers to a back end. Descriptors are made anew, of
//! the same kind and size; one that came twice is the same one again. The guest is played: wherever
//! the recorded session had taken so many requests from a ring, as many are put into it.

mod descriptor;
mod layout;
mod message;
mod names;
mod recorder;
pub mod replay;
pub mod text;
mod wire;

#[expect(unsafe_code, reason = "seals, and pipes' and files' flags")]
mod sys;

pub use descriptor::{Descriptor, Kind};
pub use message::{Order, Payload, Side, Step};
pub use names::name;
pub use recorder::Recorder;

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the fuzz targets do with an input, and what must hold then; libFuzzer makes the inputs up,
//! and AddressSanitizer looks over our shoulder.
//!
//! [`fuse`] has a server of FUSE answer requests, for a file system that checks what it is called with.
//! [`chain`] has that server answer what is in chains of a virtqueue in hostile memory.
//! [`message`] gives the parser of vhost-user messages a header, a payload and descriptors.
//! [`ring`] plays a script against a virtqueue in memory that a hostile driver writes.
//!
//! `corpus/NAME` has inputs of the target NAME that reach all that it reached so far. How a target
//! is run: `cargo xtask fuzz`. It has one more, `daemon`, which is no libFuzzer's.

#[cfg(fuzzing)]
pub mod chain;
#[cfg(fuzzing)]
pub mod fuse;
#[cfg(fuzzing)]
mod input;
#[cfg(fuzzing)]
pub mod message;
#[cfg(fuzzing)]
pub mod ring;

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Our session beside another implementation of the same protocol, and a back end made of one.
//!
//! [`author`] makes up sequences of messages. Each is said to our session ([`ours`]) and to the
//! `vhost` crate's `BackendReqHandler` over a model of the device ([`theirs`], [`model`]), in this
//! process, over socket pairs. [`compare`] holds what the two make of each message against each
//! other: the bytes of the reply, how many descriptors came with it, and whether the connection
//! is still there. What may differ is a line in [`accepted`], with its reason; a line that nothing
//! needs any more is to go.
//!
//! The program `reference-blk` is a small block device on the `vhost-user-backend` crate, against
//! which the front end and the driver of the black-box tests are checked.
//!
//! All this is a workspace apart, because it enables features of `vhost` that the product's builds
//! must not have.

pub mod accepted;
pub mod author;
pub mod compare;
pub mod device;
pub mod link;
pub mod model;
pub mod ours;
pub mod random;
pub mod said;
pub mod theirs;

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A vhost-user front end that can say everything, also what no front end should.

mod backend_channel;
mod calls;
mod connection;
mod inflight;
mod message;
mod setup;

pub use backend_channel::{BackendChannel, BackendMessage};
pub use calls::{Ack, Refused};
pub use connection::{Frontend, Outcome};
pub use message::{MAX_PAYLOAD, Message, NEED_REPLY, REPLY, VERSION, VRING_F_LOG};

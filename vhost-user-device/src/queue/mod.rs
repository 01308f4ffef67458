// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The threads that own the virtqueues, one each, and how the control thread reaches them.
//!
//! Nothing of a running queue is shared. The control thread sends [`Command`]s to a queue's
//! mailbox and waits for its ack; requests that were finished elsewhere come home the same
//! way.

mod idle;
mod mailbox;
mod owner;
mod polling;
mod running;
mod setup;
mod turn;

pub(crate) use mailbox::{AckSender, Acks, Command, Home, Inbox, Mailbox, Report};
pub(crate) use owner::Owner;
pub(crate) use setup::Setup;
pub use turn::{Turn, Waker};

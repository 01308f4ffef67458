// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The threads that own the virtqueues, one each, and how the control thread reaches them.
//!
//! Nothing of a running queue is shared. The control thread sends [`Command`]s to a queue's
//! mailbox and waits for its ack; requests that were finished elsewhere come home the same
//! way.

mod mailbox;
mod owner;
mod running;
mod setup;

pub(crate) use mailbox::{Acks, Command, Home, Mailbox, Report};
pub(crate) use owner::Owner;
pub(crate) use setup::Setup;

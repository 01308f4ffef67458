// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Running the built daemons, each on a socket of its own.

mod binary;
mod launch;
mod log;
mod running;

pub use binary::binary;
pub use launch::{Launch, Ran};
pub use log::Log;
pub use running::{Daemon, Exit, Process, Stopping};

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Running the built daemons, each on a socket of its own.

mod binary;
mod descriptors;
mod launch;
mod log;
mod privileges;
mod proc;
mod running;
mod stopped;
mod threads;

pub use binary::{binary, binary_with_hooks};
pub use launch::{Launch, Ran};
pub use log::Log;
pub use privileges::Privileges;
pub use running::{Daemon, Exit, Process, Stopping};
pub use stopped::StoppedThread;
pub use threads::Thread;

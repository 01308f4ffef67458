// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A device with the threads that own its queues; it outlives connections.

use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use super::Session;
use crate::device::Device;
use crate::hooks;
use crate::limit::RateLimit;
use crate::queue::{Acks, Command, Mailbox, Owner};
use crate::sys;

/// The stack of a queue's thread in bytes; only what is touched of it costs memory.
const STACK: usize = 256 * 1024;

/// A device with one thread for each of its queues. It serves one connection at a time, and any
/// number one after the other.
#[derive(Debug)]
pub struct Backend<D: Device> {
    device: Arc<D>,
    queues: Vec<(Mailbox, JoinHandle<()>)>,
    acks: Acks,
    warnings: RateLimit,
    drops: RateLimit,
}

/// The threads could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A thread could not be made.
    #[error("start thread {name}")]
    Thread {
        /// Its name.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// A descriptor could not be made.
    #[error("make an eventfd")]
    Eventfd(#[source] io::Error),
}

impl<D: Device> Backend<D> {
    /// Starts one thread for each of the device's queues, named after it: `blk-q0`. They inherit
    /// the signal mask, so signals should be blocked by then. A thread sleeps until its queue is
    /// started.
    ///
    /// # Errors
    /// The system has no thread or no descriptor more.
    pub fn start(device: Arc<D>) -> Result<Self, StartError> {
        hooks::arm();
        let (acks, sender) = Acks::new().map_err(StartError::Eventfd)?;
        let (warnings, drops) = (RateLimit::new(), RateLimit::new());
        let mut backend = Self { device, queues: Vec::new(), acks, warnings, drops };
        for index in 0..backend.device.num_queues() {
            let (mailbox, inbox) = Mailbox::new().map_err(StartError::Eventfd)?;
            let device = Arc::clone(&backend.device);
            let owner = Owner::new(index, device, (mailbox.clone(), inbox), sender.clone());
            let name = format!("{}-q{index}", D::NAME);
            let thread = Builder::new().name(name.clone()).stack_size(STACK);
            let thread = thread
                .spawn(move || owner.run())
                .map_err(|source| StartError::Thread { name, source })?;
            backend.queues.push((mailbox, thread));
        }
        Ok(backend)
    }

    /// Begins to serve a connection.
    pub fn connect(&mut self, socket: UnixStream) -> Session<'_, D> {
        Session::new(self, socket)
    }

    pub(super) fn device(&self) -> Arc<D> {
        Arc::clone(&self.device)
    }

    pub(super) fn acks(&self) -> &Acks {
        &self.acks
    }

    pub(super) fn tell(&self, queue: u16, command: Command) {
        if let Some((mailbox, _)) = self.queues.get(usize::from(queue)) {
            mailbox.send(command);
        }
    }

    pub(super) fn wait_for_acks(&self) {
        // An interrupted wait is repeated by the caller.
        let _ = sys::wait_readable([Some(self.acks.fd())], None);
    }

    /// Logs why a connection was dropped; warnings before it do not use up its line.
    pub(super) fn warn_of_drop(&self, text: &str) {
        if let Some(suppressed) = self.drops.allow() {
            log::warn!("front end: connection dropped: {text} ({suppressed} more before)");
        }
    }

    /// Logs what a front end did, which it may do without end.
    pub(super) fn warn(&self, text: fmt::Arguments<'_>) {
        if let Some(suppressed) = self.warnings.allow() {
            log::warn!("front end: {text} ({suppressed} more before)");
        }
    }
}

impl<D: Device> Drop for Backend<D> {
    fn drop(&mut self) {
        for (mailbox, _) in &self.queues {
            mailbox.send(Command::Quit);
        }
        for (_, thread) in self.queues.drain(..) {
            // A panic has been reported by the thread itself.
            let _ = thread.join();
        }
    }
}

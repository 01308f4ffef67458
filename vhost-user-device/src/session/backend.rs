// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A device with the threads that own its queues; it outlives connections.

use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::Session;
use crate::device::Device;
use crate::hooks;
use crate::io::{Io, Portion, Prepare, Supply, SupplyError};
use crate::limit::RateLimit;
use crate::queue::{AckSender, Acks, Command, Mailbox, Owner};
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
    /// Dropped last: queues hand operations over to it.
    supply: Supply,
}

/// How the threads of a [`Backend`] behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threads {
    /// How long a thread without work looks for more before it sleeps, at most. It does so only
    /// while that spares it sleeps. Zero: never.
    pub longest_poll: Duration,
    /// The thread of queue `i` runs on the CPU `cpus[i % cpus.len()]`; on any if there are none.
    pub cpus: Vec<usize>,
}

/// A CPU that is not there, or not for us.
#[derive(Debug, thiserror::Error)]
#[error("run on CPU {cpu}")]
pub struct NoCpu {
    /// Which one.
    pub cpu: usize,
    /// Why not.
    pub source: io::Error,
}

impl Threads {
    /// Tries the CPUs out, by running on each of them for a moment, so that a mistake is found before
    /// there are threads.
    ///
    /// # Errors
    /// The first CPU that cannot be had.
    pub fn check(&self) -> Result<(), NoCpu> {
        if self.cpus.is_empty() {
            return Ok(());
        }
        sys::try_cpus(&self.cpus).map_err(|(cpu, source)| NoCpu { cpu, source })
    }
}

impl Default for Threads {
    fn default() -> Self {
        Self { longest_poll: Duration::from_micros(32), cpus: Vec::new() }
    }
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
    /// A thread cannot run where it is to.
    #[error("have the thread of queue {queue} run on CPU {cpu}")]
    Cpu {
        /// Whose thread.
        queue: u16,
        /// Which CPU.
        cpu: usize,
        /// Why not.
        source: io::Error,
    },
    /// A thread cannot be made ready for requests.
    #[error("prepare the thread of queue {queue}")]
    Prepare {
        /// Whose thread.
        queue: u16,
        /// Why not.
        source: io::Error,
    },
    /// There is nothing that could have a device's operations done.
    #[error(transparent)]
    Supply(#[from] SupplyError),
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
    /// The system has no thread or no descriptor more, or not the engine that the device needs.
    pub fn start(device: Arc<D>, threads: &Threads) -> Result<Self, StartError> {
        hooks::arm();
        let (acks, sender) = Acks::new().map_err(StartError::Eventfd)?;
        let prepare = prepare(&device);
        let (engine, most) = (device.engine(), device.num_threads());
        let supply = Supply::new(D::NAME, engine, most, &threads.cpus, &prepare)?;
        let (warnings, drops) = (RateLimit::new(), RateLimit::new());
        let mut backend = Self { device, queues: Vec::new(), acks, warnings, drops, supply };
        let (ready, all_ready) = channel();
        for queue in 0..backend.device.num_queues() {
            let ready = ready.clone();
            backend.start_queue(queue, threads, sender.clone(), move |result| {
                // Who started us waits for it.
                let _ = ready.send(result);
            })?;
        }
        drop(ready);
        all_ready.iter().collect::<Result<(), _>>()?;
        Ok(backend)
    }

    /// Starts the thread of a queue. It says whether it has all that it needs.
    fn start_queue(
        &mut self,
        queue: u16,
        threads: &Threads,
        acks: AckSender,
        ready: impl FnOnce(Result<(), StartError>) + Send + 'static,
    ) -> Result<(), StartError> {
        let (mailbox, inbox) = Mailbox::new().map_err(StartError::Eventfd)?;
        let mailboxes = (mailbox.clone(), inbox);
        let (device, portion) = (Arc::clone(&self.device), self.supply.portion(&mailbox));
        let cpu = threads.cpus.get(usize::from(queue) % threads.cpus.len().max(1)).copied();
        let longest_poll = threads.longest_poll;
        let name = format!("{}-q{queue}", D::NAME);
        let thread =
            Builder::new().name(name.clone()).stack_size(STACK).spawn(move || {
                match settle(queue, cpu, portion, &*device) {
                    Ok(io) => {
                        ready(Ok(()));
                        Owner::new(queue, device, mailboxes, acks, io, longest_poll).run();
                    }
                    Err(error) => ready(Err(error)),
                }
            });
        let thread = thread.map_err(|source| StartError::Thread { name, source })?;
        self.queues.push((mailbox, thread));
        Ok(())
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

/// Makes what a queue's thread has for itself, on that thread.
fn settle(
    queue: u16,
    cpu: Option<usize>,
    portion: Portion,
    device: &impl Device,
) -> Result<Io, StartError> {
    if let Some(cpu) = cpu {
        // Before anything is made, so that it is made near that CPU.
        sys::run_on(&[cpu]).map_err(|source| StartError::Cpu { queue, cpu, source })?;
    }
    device.prepare_thread().map_err(|source| StartError::Prepare { queue, source })?;
    Ok(portion.make()?)
}

fn prepare<D: Device>(device: &Arc<D>) -> Prepare {
    let device = Arc::clone(device);
    Arc::new(move || device.prepare_thread())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_that_is_not_there_is_found_out() {
        let threads = Threads { cpus: vec![8191], ..Threads::default() };
        assert_eq!(threads.check().unwrap_err().cpu, 8191);
        assert!(Threads::default().check().is_ok());
    }
}

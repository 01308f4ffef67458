// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a device can do while the thread that owns its queue has called it.

use std::fmt;
use std::sync::Arc;

use super::mailbox::Mailbox;
use crate::io::{Finished, HostFile, Io, Operation};
use crate::ring::{Ledger, Request};

/// A device's turn on the thread of its queue: it completes requests, or has the host do something
/// for them.
pub struct Turn<'q> {
    ledger: &'q mut Ledger,
    io: &'q mut Io,
}

impl<'q> Turn<'q> {
    pub(crate) fn new(ledger: &'q mut Ledger, io: &'q mut Io) -> Self {
        Self { ledger, io }
    }

    /// Ends a request: the first `written` bytes of its device-writable part were written
    /// (virtio 1.3, section 2.7.8). The driver sees it when the round's used elements are
    /// published, all at once.
    #[inline]
    pub fn complete(&mut self, request: Request, written: u32) {
        self.ledger.complete(request, written);
    }

    /// Gives a request back to the driver as if it had not been taken. Only for the newest one
    /// that was taken from this queue, and only if nothing of it was done: for a network device
    /// that claimed more receive buffers than it has frames.
    ///
    /// # Errors
    /// It is not the newest; then it comes back.
    pub fn hand_back(&mut self, request: Request) -> Result<(), Request> {
        self.ledger.hand_back(request)
    }

    /// Has the host do something for a request, which comes back with the result: at once, if it
    /// was done without waiting, or else by [`DeviceQueue::finished`](crate::DeviceQueue::finished).
    /// `tag` is the device's name for it.
    #[must_use = "what was done at once must be completed"]
    pub fn start(
        &mut self,
        file: &Arc<HostFile>,
        operation: Operation,
        request: Request,
        tag: u64,
    ) -> Option<Finished> {
        self.io.start(file, operation, request, tag)
    }
}

impl Turn<'_> {
    /// Has `task` done on a thread that may wait: one of those that all queues share. There it ends the
    /// request that it was made for by [`Request::send_home`]. With [`Engine::None`](crate::Engine) the
    /// calling thread does it at once.
    pub fn run(&mut self, task: impl FnOnce() + Send + 'static) {
        self.io.run(Box::new(task));
    }

    /// What wakes the queue's thread, for whoever has something for it.
    pub fn waker(&self) -> Waker {
        Waker(self.ledger.mailbox().clone())
    }
}

/// Wakes the thread of a queue: [`DeviceQueue::poll`](crate::DeviceQueue::poll) is called soon.
#[derive(Clone, Debug)]
pub struct Waker(Mailbox);

impl Waker {
    /// Wakes it, from any thread.
    pub fn wake(&self) {
        self.0.look();
    }
}

impl fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("in_flight", &self.ledger.in_flight()).finish_non_exhaustive()
    }
}

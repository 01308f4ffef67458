// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A queue from its start to its stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::setup::Setup;
use super::turn::Turn;
use crate::device::{DeviceQueue, WhenDisabled};
use crate::io::{Finished, Io};
use crate::ring::{Ledger, Request};
use crate::sys;

/// Completed requests wait at most this long for the rest of their batch.
const PUBLISH_AFTER: Duration = Duration::from_micros(4);

/// The clock is looked at after so many requests: it costs as much as the ring's work on one.
const LOOK_AFTER: u32 = 4;

/// After this the mailbox is looked at, whatever else is available.
const LONGEST_ROUND: Duration = Duration::from_millis(1);

/// A queue that was started and has not stopped yet.
pub(super) struct Running<Q> {
    pub(super) setup: Setup,
    pub(super) queue: Q,
    pub(super) ledger: Ledger,
    /// The driver broke the ring: nothing more is taken from it.
    pub(super) broken: bool,
    /// Stops as soon as nothing is in flight.
    pub(super) draining: bool,
    /// The kick descriptor was hung up.
    pub(super) kick_dead: bool,
    /// How many memory regions had been lost when that was last looked at.
    pub(super) losses: u64,
}

impl<Q: DeviceQueue> Running<Q> {
    pub(super) fn new(setup: Setup, queue: Q, ledger: Ledger) -> Self {
        // Before the first look at shared memory.
        let losses = sys::losses();
        Self { setup, queue, ledger, broken: false, draining: false, kick_dead: false, losses }
    }

    /// Takes a setup over. Returns whether there is a new call descriptor, which nobody has told
    /// yet of what was used before it came.
    pub(super) fn replace(&mut self, setup: Setup) -> bool {
        // What came home since the last round is in the ring as it was until now.
        self.publish();
        let known = self.setup.call.as_ref().zip(setup.call.as_ref());
        let same_call = known.is_some_and(|(old, new)| Arc::ptr_eq(old, new));
        self.setup = setup;
        self.kick_dead = false;
        !same_call
    }

    /// Whether chains are taken from the ring just now.
    pub(super) fn takes(&self) -> bool {
        let enabled = self.setup.enabled || Q::WHEN_DISABLED == WhenDisabled::Discard;
        enabled && !self.broken && !self.draining
    }

    /// Whether the queue stops, and what was in flight since before we were has to end first. That of
    /// a disabled queue stays in flight.
    pub(super) fn finishes_recovered(&self) -> bool {
        self.draining && !self.broken && self.setup.enabled && self.ledger.recovered() != 0
    }

    #[inline]
    pub(super) fn submit(&mut self, request: Request, io: &mut Io) {
        if self.setup.enabled || Q::WHEN_DISABLED == WhenDisabled::Leave {
            self.queue.submit(request, &mut Turn::new(&mut self.ledger, io));
        } else {
            self.ledger.complete(request, 0);
        }
    }

    pub(super) fn finish(&mut self, finished: Finished, io: &mut Io) {
        self.queue.finished(finished, &mut Turn::new(&mut self.ledger, io));
    }

    pub(super) fn poll(&mut self, io: &mut Io) {
        self.queue.poll(&mut Turn::new(&mut self.ledger, io));
    }

    pub(super) fn cancel(&mut self, io: &mut Io) {
        self.queue.cancel(&mut Turn::new(&mut self.ledger, io));
    }

    /// Shows the driver what is complete, and calls it if it wants that.
    pub(super) fn publish(&mut self) {
        if self.ledger.publish() {
            self.call();
        }
    }

    pub(super) fn call(&self) {
        if let Some(call) = &self.setup.call {
            call.signal();
        }
    }
}

/// When a round began, and when it was published last within it.
pub(super) struct Pace {
    began: Instant,
    published: Instant,
    /// Requests since the clock was looked at.
    requests: u32,
}

impl Pace {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { began: now, published: now, requests: 0 }
    }

    /// Called after each request: publishes if that was too long ago.
    #[inline]
    pub(super) fn publish<Q: DeviceQueue>(&mut self, run: &mut Running<Q>) {
        self.requests += 1;
        if self.requests < LOOK_AFTER {
            return;
        }
        self.requests = 0;
        if self.published.elapsed() >= PUBLISH_AFTER {
            run.publish();
            self.published = Instant::now();
        }
    }

    /// Whether the round has lasted long enough, as of the last time that it was published.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.published.duration_since(self.began) >= LONGEST_ROUND
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The ring with its requests: what was taken from it, and what goes back into it.
//!
//! A ledger outlives the ring's pointers. While the ring does not translate (its memory region
//! was removed and its successor is yet to come) it is *paused*: nothing is taken, and what
//! completes waits here.

use std::sync::Arc;

use super::chain::{self, ChainError, ChainRules};
use super::guest::GuestRing;
use super::request::{Request, Spares};
use super::split::{Position, RingBroken, SplitRing};
use crate::queue::Home;
use crate::ring::shared::SharedRing;

/// One virtqueue's ring and the requests in flight on it.
pub(crate) struct Ledger {
    state: State,
    spares: Spares,
    in_flight: usize,
    /// Heads and written lengths that wait for a paused ring to come back.
    waiting: Vec<(u16, u32)>,
}

enum State {
    Serving(SplitRing<GuestRing>),
    /// Where it goes on. Before the ring was ever there the used index is not known.
    Paused {
        next_avail: u16,
        position: Option<Position>,
    },
}

/// What was at the next available entry.
pub(crate) enum Popped {
    /// A request.
    Request(Request),
    /// A chain that cannot be one. It is in the used ring already, with length 0.
    Bad { head: u16, error: ChainError },
}

impl Ledger {
    /// The ledger of a queue that starts at the available index `next_avail`, paused.
    pub(crate) fn new(home: Arc<Home>, next_avail: u16) -> Self {
        Self {
            state: State::Paused { next_avail, position: None },
            spares: Spares::new(home),
            in_flight: 0,
            waiting: Vec::new(),
        }
    }

    /// Goes on with the ring at these addresses, or pauses without one.
    pub(crate) fn install(&mut self, ring: Option<GuestRing>, event_idx: bool) {
        let (next_avail, position) = match &self.state {
            State::Serving(ring) => (ring.position().next_avail, Some(ring.position())),
            State::Paused { next_avail, position } => (*next_avail, *position),
        };
        self.state = match ring {
            None => State::Paused { next_avail, position },
            Some(shared) => {
                let used_idx = shared.used_idx();
                let start = || Position::at_start(next_avail, used_idx);
                let position = position.unwrap_or_else(start);
                let mut ring = SplitRing::new(shared, event_idx, position);
                for (head, written) in self.waiting.drain(..) {
                    ring.push_used(head, written);
                }
                State::Serving(ring)
            }
        };
        self.spares.clear();
    }

    /// The ring, unless it is paused.
    #[inline]
    pub(crate) fn ring(&mut self) -> Option<&mut SplitRing<GuestRing>> {
        match &mut self.state {
            State::Serving(ring) => Some(ring),
            State::Paused { .. } => None,
        }
    }

    /// Whether the ring does not translate just now.
    pub(crate) fn is_paused(&self) -> bool {
        matches!(self.state, State::Paused { .. })
    }

    /// How many requests were taken and are not completed.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The index of the next available entry: GET_VRING_BASE's answer.
    pub(crate) fn next_avail(&self) -> u16 {
        match &self.state {
            State::Serving(ring) => ring.position().next_avail,
            State::Paused { next_avail, .. } => *next_avail,
        }
    }

    /// Takes the next available chain, if there is one and the ring is not paused.
    #[inline]
    pub(crate) fn pop(&mut self, rules: ChainRules) -> Result<Option<Popped>, RingBroken> {
        let State::Serving(ring) = &mut self.state else { return Ok(None) };
        let Some(head) = ring.pop()? else { return Ok(None) };
        let shared = ring.shared();
        let size = shared.size();
        // Without this a driver that makes the same heads available again and again while their
        // requests are in flight could have us hold any number.
        if self.in_flight >= usize::from(size) {
            ring.unpop();
            return Err(RingBroken::TooMany { size });
        }
        let index = ring.position().next_avail.wrapping_sub(1);
        let memory = shared.memory();
        let mut parts = self.spares.take(head, index, memory);
        let (readable, writable) = (&mut parts.readable, &mut parts.writable);
        let walked = chain::walk(shared, head, memory, rules, readable, writable);
        if let Err(error) = walked {
            self.spares.keep(parts, Some(memory));
            ring.push_used(head, 0);
            return Ok(Some(Popped::Bad { head, error }));
        }
        self.in_flight += 1;
        Ok(Some(Popped::Request(Request::new(parts))))
    }

    /// Where requests are completed.
    #[inline]
    pub(crate) fn completions(&mut self) -> Completions<'_> {
        Completions { ledger: self }
    }
}

/// Where the owner of a queue completes its requests.
pub struct Completions<'q> {
    ledger: &'q mut Ledger,
}

impl Completions<'_> {
    /// Ends a request: the first `written` bytes of its device-writable part were written
    /// (virtio 1.3, section 2.7.8). The driver sees it when the round's used elements are
    /// published, all at once.
    #[inline]
    pub fn complete(&mut self, request: Request, written: u32) {
        let ledger = &mut *self.ledger;
        if !Arc::ptr_eq(&request.parts().home, ledger.spares.home()) {
            return request.send_home(written);
        }
        let parts = request.into_parts();
        ledger.in_flight -= 1;
        match &mut ledger.state {
            State::Serving(ring) => {
                ring.push_used(parts.head, written);
                ledger.spares.keep(parts, Some(ring.shared().memory()));
            }
            State::Paused { .. } => {
                ledger.waiting.push((parts.head, written));
                ledger.spares.keep(parts, None);
            }
        }
    }

    /// Gives a request back to the driver as if it had not been taken. Only for the newest one
    /// that was taken from this queue, and only if nothing of it was done: for a network device
    /// that claimed more receive buffers than it has frames.
    ///
    /// # Errors
    /// It is not the newest; then it comes back.
    pub fn hand_back(&mut self, request: Request) -> Result<(), Request> {
        let ledger = &mut *self.ledger;
        let parts = request.parts();
        let newest = ledger.next_avail().wrapping_sub(1);
        if parts.index != newest || !Arc::ptr_eq(&parts.home, ledger.spares.home()) {
            return Err(request);
        }
        let parts = request.into_parts();
        ledger.in_flight -= 1;
        match &mut ledger.state {
            State::Serving(ring) => {
                ring.unpop();
                ledger.spares.keep(parts, Some(ring.shared().memory()));
            }
            State::Paused { next_avail, position } => {
                *next_avail = newest;
                if let Some(position) = position {
                    position.next_avail = newest;
                }
                ledger.spares.keep(parts, None);
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Completions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Completions")
            .field("in_flight", &self.ledger.in_flight)
            .finish_non_exhaustive()
    }
}

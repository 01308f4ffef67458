// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The ring with its requests: what was taken from it, and what goes back into it.
//!
//! A ledger outlives the ring's pointers. While the ring does not translate (its memory region
//! was removed and its successor is yet to come) it is *paused*: nothing is taken, and what
//! completes waits here.
//!
//! Where there is an in-flight region, a head is marked in it as soon as it is taken, and before
//! anything is done about it. What an earlier back end left marked is served before what is in the
//! ring.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::chain::{self, ChainError, ChainRules};
use super::guest::GuestRing;
use super::inflight::Inflight;
use super::request::{Request, Spares};
use super::split::{Position, RingBroken, SplitRing};
use super::written::WriteLog;
use crate::hooks::{self, Point};
use crate::memory::Loss;
use crate::queue::{Home, Mailbox};
use crate::ring::shared::SharedRing;

/// One virtqueue's ring and the requests in flight on it.
pub(crate) struct Ledger {
    state: State,
    spares: Spares,
    in_flight: usize,
    /// Which heads are in flight.
    taken: Vec<bool>,
    /// Heads that an earlier back end took, in their order.
    recovered: VecDeque<u16>,
    /// Heads and written lengths that wait for a paused ring to come back.
    waiting: Vec<(u16, u32)>,
    inflight: Option<Inflight>,
    /// Its part of the in-flight region made no sense.
    unusable: bool,
    log: Option<WriteLog>,
    /// Used indices that an earlier back end may not have logged.
    unlogged: Range<u16>,
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
    pub(crate) fn new(home: Arc<Home>, next_avail: u16, inflight: Option<Inflight>) -> Self {
        Self {
            state: State::Paused { next_avail, position: None },
            spares: Spares::new(home),
            in_flight: 0,
            taken: Vec::new(),
            recovered: VecDeque::new(),
            waiting: Vec::new(),
            inflight,
            unusable: false,
            log: None,
            unlogged: 0..0,
        }
    }

    /// Where the owner of the queue is told of something.
    pub(crate) fn mailbox(&self) -> &Mailbox {
        self.spares.home().mailbox()
    }

    /// Goes on with the ring at these addresses, or pauses without one, and logs from now on what
    /// is written, or does not.
    ///
    /// # Errors
    /// It is the first time that the ring is there, and its part of the in-flight region makes no
    /// sense. It stays paused.
    pub(crate) fn install(
        &mut self,
        ring: Option<GuestRing>,
        event_idx: bool,
        log: Option<WriteLog>,
    ) -> Result<(), RingBroken> {
        self.log = log;
        self.spares.clear();
        let (next_avail, position) = match &self.state {
            State::Serving(ring) => (ring.position().next_avail, Some(ring.position())),
            State::Paused { next_avail, position } => (*next_avail, *position),
        };
        let Some(shared) = ring.filter(|_| !self.unusable) else {
            self.state = State::Paused { next_avail, position };
            return Ok(());
        };
        let position = match position {
            Some(position) => position,
            None => self.start(&shared, next_avail)?,
        };
        let mut ring = SplitRing::new(shared, event_idx, position);
        for (head, written) in self.waiting.drain(..) {
            push_used(&mut ring, &mut self.inflight, head, written);
        }
        let Range { start, end } = self.unlogged;
        if let Some(log) = self.log.as_ref().filter(|_| start != end) {
            log.used(ring.size(), start, end);
            self.unlogged = end..end;
        }
        self.state = State::Serving(ring);
        Ok(())
    }

    /// Where a ring starts that was never there before. With an in-flight region it is what the
    /// ring and the region say, whatever the front end said.
    fn start(&mut self, ring: &GuestRing, next_avail: u16) -> Result<Position, RingBroken> {
        self.taken = vec![false; usize::from(ring.size())];
        let used_idx = ring.used_idx();
        let Some(inflight) = &mut self.inflight else {
            return Ok(Position::at_start(next_avail, used_idx));
        };
        let left = inflight.recover(used_idx, ring.size());
        let left = left.inspect_err(|_| self.unusable = true)?;
        self.recovered = left.heads.into();
        self.unlogged = left.given_back;
        let next_avail = self.recovered.iter().fold(used_idx, |index, _| index.wrapping_add(1));
        Ok(Position::at_start(next_avail, used_idx))
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

    /// How many requests an earlier back end took, and are still to be served.
    pub(crate) fn recovered(&self) -> usize {
        self.recovered.len()
    }

    /// The index of the next available entry: GET_VRING_BASE's answer.
    pub(crate) fn next_avail(&self) -> u16 {
        match &self.state {
            State::Serving(ring) => ring.position().next_avail,
            State::Paused { next_avail, .. } => *next_avail,
        }
    }

    /// Takes the next chain, if there is one and the ring is not paused: what an earlier back end
    /// had taken first, then what is available.
    #[inline]
    pub(crate) fn pop(&mut self, rules: ChainRules) -> Result<Option<Popped>, RingBroken> {
        let State::Serving(ring) = &mut self.state else { return Ok(None) };
        let (head, index) = match self.recovered.pop_front() {
            Some(head) => (head, None),
            None => match ring.pop()? {
                Some(head) => (head, Some(ring.position().next_avail.wrapping_sub(1))),
                None => return Ok(None),
            },
        };
        // Without this a driver that makes the same heads available again and again while their
        // requests are in flight could have us hold any number.
        match self.taken.get_mut(usize::from(head)) {
            Some(taken) if !*taken => *taken = true,
            _ => {
                if index.is_some() {
                    ring.unpop();
                }
                return Err(RingBroken::InFlight { head });
            }
        }
        if let Some(inflight) = self.inflight.as_mut().filter(|_| index.is_some()) {
            inflight.mark(head);
        }
        let shared = ring.shared();
        let memory = shared.memory();
        let mut parts = self.spares.take(head, index, memory);
        let (readable, writable) = (&mut parts.readable, &mut parts.writable);
        let walked = chain::walk(shared, head, memory, rules, readable, writable);
        if let Err(error) = walked {
            self.spares.keep(parts, Some(memory));
            give_up(&mut self.taken, head);
            push_used(ring, &mut self.inflight, head, 0);
            return Ok(Some(Popped::Bad { head, error }));
        }
        self.in_flight += 1;
        Ok(Some(Popped::Request(Request::new(parts))))
    }

    /// Shows the driver what is complete. Returns whether it wants a call for that.
    #[inline]
    #[must_use]
    pub(crate) fn publish(&mut self) -> bool {
        let State::Serving(ring) = &mut self.state else { return false };
        if !ring.has_unpublished() {
            return false;
        }
        hooks::pass(Point::UsedElement);
        if let Some(inflight) = &mut self.inflight {
            inflight.before_used_idx();
        }
        let from = ring.published();
        let wants_call = ring.publish();
        hooks::pass(Point::UsedIdx);
        let to = ring.published();
        // Before the marks go: with them the next back end would know.
        if let Some(log) = &self.log {
            log.used(ring.size(), from, to);
            log.notify();
        }
        if let Some(inflight) = &mut self.inflight {
            inflight.after_used_idx(to);
        }
        hooks::pass(Point::Call);
        wants_call
    }

    /// Asks the driver for no kicks, while we look at the ring anyway.
    #[inline]
    pub(crate) fn disable_kicks(&mut self) {
        let State::Serving(ring) = &mut self.state else { return };
        let wrote = ring.disable_kicks();
        if let Some(log) = self.log.as_ref().filter(|_| wrote) {
            log.used(ring.size(), 0, 0);
        }
    }

    /// Whether there is something to take. Kicks are as they were.
    #[inline]
    pub(crate) fn has_available(&self) -> bool {
        match &self.state {
            State::Serving(ring) => ring.has_available(),
            State::Paused { .. } => false,
        }
    }

    /// Asks the driver for kicks. Returns whether there is something to take already.
    #[inline]
    #[must_use]
    pub(crate) fn enable_kicks(&mut self) -> bool {
        let State::Serving(ring) = &mut self.state else { return false };
        let more = ring.enable_kicks();
        if let Some(log) = &self.log {
            log.used(ring.size(), 0, 0);
        }
        more
    }

    /// A guest address that was written and that the dirty log has no bit for.
    pub(crate) fn take_missed(&self) -> Option<u64> {
        self.log.as_ref().and_then(|log| log.log.take_missed())
    }

    /// What of the memory that we share was not there when we touched it.
    pub(crate) fn lost(&self) -> Option<Loss> {
        let region = match &self.state {
            State::Serving(ring) => ring.shared().memory().lost(),
            State::Paused { .. } => None,
        };
        let inflight = || self.inflight.as_ref().filter(|inflight| inflight.is_lost());
        let log = || self.log.as_ref().filter(|log| log.log.is_lost());
        region
            .map(Loss::Region)
            .or_else(|| inflight().map(|_| Loss::InflightRegion))
            .or_else(|| log().map(|_| Loss::DirtyLog))
    }

    /// Takes the answer to a request; one of another queue is sent there.
    #[inline]
    pub(crate) fn complete(&mut self, request: Request, written: u32) {
        if !Arc::ptr_eq(&request.parts().home, self.spares.home()) {
            return request.send_home(written);
        }
        hooks::pass(Point::Submission);
        let parts = request.into_parts();
        self.in_flight -= 1;
        give_up(&mut self.taken, parts.head);
        if let Some(log) = &self.log {
            log.buffers(&parts);
        }
        hooks::pass(Point::Completion);
        match &mut self.state {
            State::Serving(ring) => {
                push_used(ring, &mut self.inflight, parts.head, written);
                self.spares.keep(parts, Some(ring.shared().memory()));
            }
            State::Paused { .. } => {
                self.waiting.push((parts.head, written));
                self.spares.keep(parts, None);
            }
        }
    }

    /// Leaves the newest request that was taken to the driver after all. Another one comes back.
    pub(crate) fn hand_back(&mut self, request: Request) -> Result<(), Request> {
        let parts = request.parts();
        let newest = self.next_avail().wrapping_sub(1);
        if parts.index != Some(newest) || !Arc::ptr_eq(&parts.home, self.spares.home()) {
            return Err(request);
        }
        let parts = request.into_parts();
        self.in_flight -= 1;
        give_up(&mut self.taken, parts.head);
        if let Some(inflight) = &mut self.inflight {
            inflight.unmark(parts.head);
        }
        match &mut self.state {
            State::Serving(ring) => {
                ring.unpop();
                self.spares.keep(parts, Some(ring.shared().memory()));
            }
            State::Paused { next_avail, position } => {
                *next_avail = newest;
                if let Some(position) = position {
                    position.next_avail = newest;
                }
                self.spares.keep(parts, None);
            }
        }
        Ok(())
    }
}

/// The chain at `head` is done: it is in the used ring, which the driver sees later.
#[inline]
fn push_used(
    ring: &mut SplitRing<GuestRing>,
    inflight: &mut Option<Inflight>,
    head: u16,
    written: u32,
) {
    ring.push_used(head, written);
    if let Some(inflight) = inflight {
        inflight.complete(head);
    }
}

/// The chain at `head` is in flight no more.
#[inline]
fn give_up(taken: &mut [bool], head: u16) {
    if let Some(taken) = taken.get_mut(usize::from(head)) {
        *taken = false;
    }
}

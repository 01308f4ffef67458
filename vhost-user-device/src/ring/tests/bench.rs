// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A ledger whose ring lies in memory of this process.

use std::sync::Arc;

use super::driver::Layout;
use crate::memory::{MemoryMap, RegionSpan};
use crate::queue::{Command, Home, Mailbox};
use crate::ring::chain::ChainRules;
use crate::ring::{GuestRing, Inflight, Ledger, Popped, Request, RingBroken};

/// What the device writes into a request that it dropped, as the tests' device has it.
pub(crate) const FAILED: u32 = 1;

/// A ledger, the memory that its ring is in, and the mailbox that its requests come home to.
pub(crate) struct Bench {
    pub(crate) ledger: Ledger,
    pub(crate) rules: ChainRules,
    next_command: Box<dyn FnMut() -> Option<Command> + Send>,
}

impl Bench {
    /// The ledger of the ring at `layout`, with EVENT_IDX, serving.
    pub(crate) fn new(memory: &Arc<MemoryMap>, layout: Layout) -> Self {
        let mut bench = Self::paused_at(0);
        bench.install(layout.device(memory), true);
        assert!(!bench.ledger.is_paused());
        bench
    }

    /// A ledger without a ring so far, which starts at an available index.
    pub(crate) fn paused_at(next_avail: u16) -> Self {
        Self::tracked_at(next_avail, None)
    }

    /// [`Self::paused_at`], with a queue's part of an in-flight region.
    pub(crate) fn tracked_at(next_avail: u16, inflight: Option<Inflight>) -> Self {
        let (mailbox, mut inbox) = Mailbox::new().expect("a mailbox");
        let home = Arc::new(Home::new(mailbox, |_| FAILED));
        let rules = ChainRules { indirect: true, longest: 1024 };
        let next_command = Box::new(move || inbox.next());
        Self { ledger: Ledger::new(home, next_avail, inflight), rules, next_command }
    }

    /// Goes on with this ring, without a dirty log.
    pub(crate) fn install(&mut self, ring: Option<GuestRing>, event_idx: bool) {
        self.ledger.install(ring, event_idx, None).expect("a ring that can be served");
    }

    pub(crate) fn pop(&mut self) -> Result<Option<Popped>, RingBroken> {
        self.ledger.pop(self.rules)
    }

    /// The next request, which is there.
    pub(crate) fn request(&mut self) -> Request {
        match self.pop() {
            Ok(Some(Popped::Request(request))) => request,
            Ok(Some(Popped::Bad { head, error })) => panic!("bad chain at head {head}: {error}"),
            Ok(None) => panic!("nothing is available"),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn complete(&mut self, request: Request, written: u32) {
        self.ledger.complete(request, written);
    }

    pub(crate) fn hand_back(&mut self, request: Request) -> Result<(), Request> {
        self.ledger.hand_back(request)
    }

    /// Publishes what is complete; returns whether the driver wants a call.
    pub(crate) fn publish(&mut self) -> bool {
        self.ledger.publish()
    }

    /// The request that has come home, with its written length.
    pub(crate) fn came_home(&mut self) -> Option<(Request, u32)> {
        match (self.next_command)()? {
            Command::Home { request, written } => Some((request, written)),
            other => panic!("{other:?}"),
        }
    }
}

/// Memory with these regions, zeroed.
pub(crate) fn memory(spans: &[RegionSpan]) -> Arc<MemoryMap> {
    Arc::new(MemoryMap::anonymous(spans))
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Requests that wait for a lock, on no thread.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use vhost_user_device::{Request, Waker};

/// A lock may be given up by somebody on the host, who does not tell us: that is looked for soon, and
/// less often later.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// What the queues of a device tell each other of locks that were given up.
#[derive(Debug, Default)]
pub(super) struct Unlocks {
    /// How many requests wait, of all queues.
    waiting: AtomicUsize,
    /// How often one may have been given up.
    count: AtomicU64,
    /// What wakes the queues that wait, or have waited.
    wakers: Mutex<BTreeMap<u16, Waker>>,
}

impl Unlocks {
    /// Whether somebody would want to know.
    pub(super) fn matter(&self) -> bool {
        self.waiting.load(Ordering::Acquire) != 0
    }

    /// A lock may have been given up: every queue looks.
    pub(super) fn announce(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
        self.wakers().values().for_each(Waker::wake);
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    fn wakers(&self) -> MutexGuard<'_, BTreeMap<u16, Waker>> {
        // A panic ends the process.
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The requests of one queue that wait.
#[derive(Debug)]
pub(super) struct Parking {
    queue: u16,
    unlocks: Arc<Unlocks>,
    requests: Vec<Request>,
    /// When they are tried again at the latest, and how long the pause before that is.
    next: Option<(Instant, Duration)>,
    /// How often locks had been given up when they were tried last; none if that may have been before
    /// anybody would have said so.
    seen: Option<u64>,
}

impl Parking {
    pub(super) fn new(queue: u16, unlocks: Arc<Unlocks>) -> Self {
        Self { queue, unlocks, requests: Vec::new(), next: None, seen: None }
    }

    /// Keeps a request whose lock was in other hands. `waker` wakes this queue.
    pub(super) fn park(&mut self, request: Request, waker: Waker) {
        self.unlocks.wakers().insert(self.queue, waker);
        self.unlocks.waiting.fetch_add(1, Ordering::AcqRel);
        self.seen = None;
        if self.next.is_none() {
            self.next = Some((Instant::now() + FIRST_PAUSE, FIRST_PAUSE));
        }
        self.requests.push(request);
    }

    /// The requests that are to be tried now, all of them or none. Each of them must be given to
    /// [`Parking::keep`], or be done and [`Parking::let_go`].
    pub(super) fn due(&mut self) -> Vec<Request> {
        let Some((due, pause)) = self.next else { return Vec::new() };
        let (count, now) = (self.unlocks.count(), Instant::now());
        let unheard = self.seen != Some(count);
        if !unheard && now < due {
            return Vec::new();
        }
        let pause = if unheard { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        self.next = Some((now + pause, pause));
        self.seen = Some(count);
        std::mem::take(&mut self.requests)
    }

    /// The lock is in other hands still.
    pub(super) fn keep(&mut self, request: Request) {
        self.requests.push(request);
    }

    /// A request waits no more.
    pub(super) fn let_go(&mut self) {
        self.unlocks.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// When [`Parking::due`] has something, whether or not a lock is given up.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.requests.is_empty() { None } else { self.next.map(|(due, _)| due) }
    }

    /// Takes all of them: they wait no more.
    pub(super) fn take(&mut self) -> Vec<Request> {
        self.next = None;
        self.unlocks.waiting.fetch_sub(self.requests.len(), Ordering::AcqRel);
        std::mem::take(&mut self.requests)
    }
}

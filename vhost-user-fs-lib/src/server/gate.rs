// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Keeps requests of one session out of the next one: a session begins or ends when none is being served.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

/// As many threads pass without touching what another one touches.
const LANES: usize = 16;

/// Requests pass it; who closes it is alone.
#[derive(Debug, Default)]
pub(super) struct Gate {
    lanes: [Lane; LANES],
}

/// What one thread in so many passes by, in cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane(RwLock<()>);

/// A request that is being served.
pub(super) type Passing<'g> = RwLockReadGuard<'g, ()>;

/// Nobody passes until this is dropped.
pub(super) type Closed<'g> = [RwLockWriteGuard<'g, ()>; LANES];

impl Gate {
    /// Lets a request pass; waits while the gate is closed.
    #[inline]
    pub(super) fn pass(&self) -> Passing<'_> {
        // A panic ends the process.
        lane(&self.lanes).0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for all requests that are being served, and lets no other pass.
    pub(super) fn close(&self) -> Closed<'_> {
        // All who close it come by the lanes in the same order.
        self.lanes.each_ref().map(|lane| lane.0.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The same if there is nothing to wait for.
    pub(super) fn close_at_once(&self) -> Option<Closed<'_>> {
        let mut closed = Vec::with_capacity(LANES);
        for lane in &self.lanes {
            match lane.0.try_write() {
                Ok(guard) => closed.push(guard),
                Err(TryLockError::Poisoned(poisoned)) => closed.push(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => return None,
            }
        }
        closed.try_into().ok()
    }
}

/// The one by which the calling thread always passes.
#[inline]
fn lane(lanes: &[Lane; LANES]) -> &Lane {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static LANE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    let mut number = LANE.get();
    if number == usize::MAX {
        number = THREADS.fetch_add(1, Ordering::Relaxed) % LANES;
        LANE.set(number);
    }
    &lanes[number % LANES]
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn gate_is_not_closed_while_somebody_passes() {
        let gate = Gate::default();
        let (passing, done) = (Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            scope.spawn(|| {
                let request = gate.pass();
                passing.wait();
                done.wait();
                drop(request);
            });
            passing.wait();
            assert!(gate.close_at_once().is_none());
            done.wait();
            drop(gate.close());
        });
        assert!(gate.close_at_once().is_some());
    }

    #[test]
    fn many_pass_at_a_time() {
        let gate = Gate::default();
        let all = Barrier::new(2 * LANES);
        thread::scope(|scope| {
            for _ in 0..2 * LANES {
                scope.spawn(|| {
                    let _request = gate.pass();
                    all.wait();
                });
            }
        });
    }
}

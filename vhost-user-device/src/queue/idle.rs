// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the owner of a queue does when there is nothing to do: it looks for work for as long as
//! that pays, and then sleeps, once no kick can be missed.

use std::hint;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::owner::Owner;
use super::running::Running;
use crate::device::{Device, DeviceQueue};
use crate::sys::Wait;

/// How often a ring is looked at whose driver cannot kick.
const LOOK_EVERY: Duration = Duration::from_micros(100);

impl<D: Device> Owner<D> {
    /// Returns when there may be something to do.
    pub(super) fn idle(&mut self, mut running: Option<&mut Running<D::Queue>>) {
        // While requests are in flight it is the host that is waited for, else the driver: one may
        // be quick and the other slow.
        let in_flight = running.as_ref().is_some_and(|run| run.ledger.in_flight() != 0);
        let mut polling = self.polling[usize::from(in_flight)];
        let found = polling.window().is_some_and(|window| {
            let found = self.look(window, running.as_deref());
            polling.looked(found);
            found
        });
        self.polling[usize::from(in_flight)] = polling;
        if found {
            return;
        }
        if let Some(run) = &mut running
            && run.takes()
            && run.ledger.enable_kicks()
        {
            return;
        }
        if self.inbox.fall_asleep() {
            return;
        }
        self.sleep(running);
        self.inbox.wake_up();
    }

    /// Looks for work for at most so long, and returns whether there is some.
    fn look(&mut self, window: Duration, running: Option<&Running<D::Queue>>) -> bool {
        let began = Instant::now();
        loop {
            if self.has_work(running) {
                return true;
            }
            if began.elapsed() >= window {
                return false;
            }
            hint::spin_loop();
        }
    }

    fn has_work(&mut self, running: Option<&Running<D::Queue>>) -> bool {
        running.is_some_and(|run| run.takes() && run.ledger.has_available())
            || self.io.has_news()
            || self.inbox.has_some()
    }

    /// Sleeps until there is a kick, a command or a finished operation.
    fn sleep(&mut self, running: Option<&mut Running<D::Queue>>) {
        let due = running.as_ref().and_then(|run| run.queue.due());
        let until_due = due.map(|due| due.saturating_duration_since(Instant::now()));
        let taking = running.filter(|run| run.takes() && !run.ledger.is_paused());
        let (kick, timeout) = match &taking {
            None => (None, None),
            Some(run) => match run.setup.kick.as_ref().filter(|_| !run.kick_dead) {
                Some(kick) => (Some(Arc::clone(kick)), None),
                None => (None, Some(LOOK_EVERY)),
            },
        };
        let timeout = [timeout, until_due].into_iter().flatten().min();
        match self.io.wait(&self.inbox, kick.as_ref(), timeout) {
            Ok([inbox, kicked]) => {
                if inbox == Wait::Readable {
                    self.inbox.clear();
                }
                match (kicked, taking, &kick) {
                    // Nothing to read is no harm: the ring is looked at next.
                    (Wait::Readable, Some(run), Some(kick)) => run.kick_dead = !kick.take(),
                    (Wait::Dead, Some(run), _) => run.kick_dead = true,
                    _ => {}
                }
            }
            // Out of memory, at worst; the ring is looked at in any case.
            Err(error) => self.say(format_args!("wait for a kick: {error}")),
        }
    }
}

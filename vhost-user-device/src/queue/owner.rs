// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The loop of the thread that owns a queue.
//!
//! Each turn looks at the mailbox, then plays one round: take chains, at most as many as the ring
//! has entries; submit them; collect completions; publish them, and call the driver if it wants
//! that. When a round leaves nothing to do, the thread is idle: see [`super::idle`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::mailbox::{Ack, AckSender, Command, Home, Inbox, Mailbox, Report};
use super::polling::Polling;
use super::running::{Pace, Running};
use super::setup::Setup;
use crate::causes;
use crate::device::{Device, DeviceQueue};
use crate::hooks::Held;
use crate::io::Io;
use crate::limit::RateLimit;
use crate::planted::Planted;
use crate::ring::{Ledger, Popped, RingBroken};
use crate::sys;

/// The owner of one virtqueue.
#[derive(Debug)]
pub(crate) struct Owner<D: Device> {
    pub(super) index: u16,
    device: Arc<D>,
    pub(super) inbox: Inbox,
    pub(super) io: Io,
    /// Without requests in flight, and with.
    pub(super) polling: [Polling; 2],
    home: Arc<Home>,
    acks: AckSender,
    bad_chains: RateLimit,
    broken_rings: RateLimit,
    missed: RateLimit,
    troubles: RateLimit,
}

impl<D: Device> Owner<D> {
    /// To be made on the thread that it runs on. It looks for work at most so long before it sleeps.
    pub(crate) fn new(
        index: u16,
        device: Arc<D>,
        (mailbox, inbox): (Mailbox, Inbox),
        acks: AckSender,
        io: Io,
        longest_poll: Duration,
    ) -> Self {
        let home = Arc::new(Home::new(mailbox, <D::Queue as DeviceQueue>::fail));
        let polling = [Polling::new(longest_poll); 2];
        let [bad_chains, broken_rings, missed, troubles] = [(); 4].map(|()| RateLimit::new());
        Self {
            index,
            device,
            inbox,
            io,
            polling,
            home,
            acks,
            bad_chains,
            broken_rings,
            missed,
            troubles,
        }
    }

    /// Serves the queue until it is told to quit.
    pub(crate) fn run(mut self) {
        let mut running = None;
        loop {
            while let Some(command) = self.inbox.next() {
                if !self.obey(command, &mut running) {
                    return;
                }
            }
            let mut busy = false;
            if let Some(run) = &mut running {
                busy = self.round(run);
                let stuck = run.broken && Planted::Stop.is_here();
                if run.draining && run.ledger.in_flight() == 0 && !stuck {
                    let next_avail = run.ledger.next_avail();
                    // The answer says that the queue holds no memory and no descriptor any more.
                    running = None;
                    if let Err(error) = self.io.let_go_of_kick() {
                        self.say(format_args!("let go of the kick descriptor: {error}"));
                    }
                    self.ack(next_avail);
                }
            }
            if !busy {
                self.idle(running.as_mut());
            }
        }
    }

    /// Does what it is told; `false` ends the thread.
    fn obey(&mut self, command: Command, running: &mut Option<Running<D::Queue>>) -> bool {
        match (command, running) {
            (Command::Quit, _) => return false,
            (Command::Start { setup, next_avail, inflight }, running) => {
                let queue = self.device.start_queue(self.index, setup.features);
                let ledger = Ledger::new(Arc::clone(&self.home), next_avail, inflight);
                let run = running.insert(Running::new(setup, queue, ledger));
                self.install(run);
                // Used elements that an earlier back end published without a call.
                run.call();
                self.ack(run.ledger.next_avail());
            }
            (Command::Update(setup), Some(run)) => {
                if run.replace(setup) {
                    run.call();
                }
                self.install(run);
                self.ack(run.ledger.next_avail());
            }
            (Command::Stop, Some(run)) => {
                run.draining = true;
                run.cancel(&mut self.io);
            }
            (Command::Home { request, written }, Some(run)) => {
                run.ledger.complete(request, written);
            }
            (Command::Finished(finished), Some(run)) => {
                run.finish(finished, &mut self.io);
            }
            // The control thread tells only started queues, and no request outlives its run.
            (Command::Update(_) | Command::Stop, None) => self.ack(0),
            (Command::Home { request, .. }, None) => request.discard(),
            (Command::Finished(finished), None) => finished.request.discard(),
            // A round comes next.
            (Command::Look, _) => self.inbox.looks(),
        }
        true
    }

    /// Has the ledger go on as the setup says.
    fn install(&self, run: &mut Running<D::Queue>) {
        let Setup { ring, log, .. } = &run.setup;
        let event_idx = run.setup.event_idx();
        if let Err(error) = run.ledger.install(ring.clone(), event_idx, log.clone()) {
            self.stop_broken(run, error);
        }
    }

    fn ack(&self, next_avail: u16) {
        self.acks.send(Report::Ack(Ack { queue: self.index, next_avail }));
    }

    /// Plays one round. Returns whether there may be more to do at once.
    fn round(&mut self, run: &mut Running<D::Queue>) -> bool {
        let mut pace = Pace::new();
        let mut more = false;
        if run.takes() {
            run.ledger.disable_kicks();
            let size = run.ledger.ring().map_or(0, |ring| ring.size());
            more = self.take_chains(run, usize::from(size), &mut pace);
        } else if run.finishes_recovered() {
            // In flight since before we were: they end before the queue stops.
            self.take_chains(run, run.ledger.recovered(), &mut pace);
            run.cancel(&mut self.io);
        }
        if (self.io.has_unsubmitted() || self.io.has_news())
            && let Err(error) = self.io.enter()
        {
            self.say(format_args!("hand operations over: {error}"));
        }
        while let Some(finished) = self.io.finished() {
            run.finish(finished, &mut self.io);
            pace.publish(run);
        }
        run.poll(&mut self.io);
        run.publish();
        self.look_for_losses(run);
        self.look_for_missed(run);
        more || self.io.has_unsubmitted()
    }

    /// Ends the queue, and with it the connection, if memory that we touched was not there.
    fn look_for_losses(&self, run: &mut Running<D::Queue>) {
        let losses = sys::losses();
        if losses == run.losses {
            return;
        }
        run.losses = losses;
        if let Some(loss) = run.ledger.lost() {
            run.broken = true;
            self.acks.send(Report::Lost(loss));
        }
    }

    /// Says if something was written that cannot be logged: the front end gave too short a log.
    fn look_for_missed(&self, run: &Running<D::Queue>) {
        if let Some(address) = run.ledger.take_missed()
            && let Some(suppressed) = self.missed.allow()
        {
            log::warn!(
                "queue {}: the dirty log has no bit for guest address {address:#x}, which was \
                 written ({suppressed} more before)",
                self.index
            );
        }
    }

    /// Takes at most `budget` chains. Returns whether there may be more.
    fn take_chains(&mut self, run: &mut Running<D::Queue>, budget: usize, pace: &mut Pace) -> bool {
        let mut held = Held::default();
        let more = self.take_with(run, budget, &mut held, pace);
        for request in held.shuffled() {
            run.submit(request, &mut self.io);
            pace.publish(run);
        }
        more
    }

    fn take_with(
        &mut self,
        run: &mut Running<D::Queue>,
        budget: usize,
        held: &mut Held,
        pace: &mut Pace,
    ) -> bool {
        for _ in 0..budget {
            match run.ledger.pop(run.setup.rules) {
                Ok(None) => return false,
                Ok(Some(Popped::Request(request))) => {
                    if let Some(request) = held.hold(request) {
                        run.submit(request, &mut self.io);
                    }
                }
                Ok(Some(Popped::Bad { head, error })) => {
                    if let Some(suppressed) = self.bad_chains.allow() {
                        let cause = causes(&error);
                        log::warn!(
                            "queue {}: bad chain at head {head}: {cause} ({suppressed} more before)",
                            self.index
                        );
                    }
                }
                Err(error) => {
                    self.stop_broken(run, error);
                    return false;
                }
            }
            pace.publish(run);
            if pace.is_over() {
                break;
            }
        }
        true
    }

    /// Says that the host refuses something that it never should.
    pub(super) fn say(&self, trouble: fmt::Arguments<'_>) {
        if let Some(suppressed) = self.troubles.allow() {
            log::error!("queue {}: {trouble} ({suppressed} more before)", self.index);
        }
    }

    fn stop_broken(&self, run: &mut Running<D::Queue>, error: RingBroken) {
        // A driver that resets its device may break the ring again and again.
        if let Some(suppressed) = self.broken_rings.allow() {
            let whose = match error {
                RingBroken::NotRecoverable(_) => "what was in flight is not known",
                _ => "its driver broke the ring",
            };
            log::error!(
                "queue {}: stopped, {whose}: {error} ({suppressed} more before)",
                self.index
            );
        }
        run.broken = true;
        if let Some(err) = &run.setup.err {
            err.signal();
        }
    }
}

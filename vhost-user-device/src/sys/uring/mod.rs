// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! An io_uring that owns what the kernel works on.

mod setup;
mod slot;
mod watch;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, squeue};

use super::Notifier;
use super::poll::Wait;
use crate::io::{Finished, Job, MayBounce, Operation};
use slot::{Slots, Taken};
use watch::Watched;

/// The most bytes of ours that operations in flight may hold, as buffers for O_DIRECT.
const MOST_BOUNCED: usize = 2 * 1024 * 1024;

/// So many operations are submitted at once, rather than all of a round: a disk that has run dry gets
/// the first ones while the others are on their way.
const SUBMIT_AFTER: usize = 4;

/// How often the kernel is told to let go of a descriptor, and how long it has each time.
const LET_GO_TRIES: usize = 100;
const LET_GO_EACH: Duration = Duration::from_millis(10);

/// Completions with this bit are about polls, those without it about the slot of that number.
const POLL: u64 = 1 << 63;
/// The inbox.
const INBOX: u64 = POLL;
/// That a poll was taken back.
const REMOVED: u64 = POLL | 1;
/// The first kick descriptor; each that replaces another has the next number.
const FIRST_KICK: u64 = POLL | 2;

/// The io_uring of one thread, made by that thread, with the operations in flight on it.
pub(crate) struct Uring {
    ring: IoUring,
    slots: Slots,
    finished: VecDeque<Finished>,
    /// Slots that wait until others let go of their buffers, or of their places with the kernel.
    waiting: VecDeque<usize>,
    /// How many slots the kernel has.
    submitted: usize,
    /// Bytes of ours that are held by operations in flight.
    bounced: usize,
    inbox: Watched,
    kick: Watched,
    kick_of: Option<Arc<Notifier>>,
}

impl Uring {
    /// Makes one for the calling thread. No other may use it.
    ///
    /// # Errors
    /// ENOSYS, EPERM or EACCES where there is no io_uring for us.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            ring: setup::ring()?,
            slots: Slots::default(),
            finished: VecDeque::new(),
            waiting: VecDeque::new(),
            submitted: 0,
            bounced: 0,
            inbox: Watched::new(INBOX),
            kick: Watched::new(FIRST_KICK),
            kick_of: None,
        })
    }

    /// Whether it can do such a thing.
    pub(crate) fn can(&self, operation: &Operation) -> bool {
        !matches!(operation, Operation::Discard { .. })
    }

    /// Has an operation done. It begins at the latest with [`Self::enter`] or [`Self::wait`].
    pub(crate) fn start(&mut self, job: Job) {
        let at = self.slots.add(job);
        // Not before those that came earlier.
        if self.waiting.is_empty() {
            self.go_on(at);
        } else {
            self.waiting.push_back(at);
        }
        if self.ring.submission().len() >= SUBMIT_AFTER {
            // What could not be submitted is tried again.
            let _ = self.ring.submit();
        }
    }

    /// Whether something was started that the kernel has not been told of.
    #[inline]
    pub(crate) fn has_unsubmitted(&mut self) -> bool {
        !self.ring.submission().is_empty()
    }

    /// Whether something has finished, or a descriptor has become readable.
    #[inline]
    pub(crate) fn has_news(&mut self) -> bool {
        // With DEFER_TASKRUN completions appear only when the kernel is entered.
        self.ring.submission().taskrun() || !self.ring.completion().is_empty()
    }

    /// Whether an operation is in flight.
    fn is_busy(&self) -> bool {
        self.slots.in_flight() != 0
    }

    /// Begins what was started and takes what has finished, without waiting for either.
    pub(crate) fn enter(&mut self) -> io::Result<()> {
        self.enter_for(0, None)
    }

    /// The next operation that has finished.
    #[inline]
    pub(crate) fn finished(&mut self) -> Option<Finished> {
        self.finished.pop_front()
    }

    /// Waits until an operation has finished, a descriptor is readable, or the time is over; `None`
    /// waits for ever. A descriptor that became readable before and was not read since need not
    /// count again.
    pub(crate) fn wait(
        &mut self,
        inbox: BorrowedFd<'_>,
        kick: Option<&Arc<Notifier>>,
        timeout: Option<Duration>,
    ) -> io::Result<[Wait; 2]> {
        self.watch_kick(kick)?;
        if let Some(entry) = self.inbox.arm(inbox.as_raw_fd()) {
            self.push(&entry);
        }
        if let Some(entry) = kick.and_then(|kick| self.kick.arm(kick.fd().as_raw_fd())) {
            self.push(&entry);
        }
        let ready = self.inbox.has_seen() || self.kick.has_seen() || !self.finished.is_empty();
        self.enter_for(usize::from(!ready), timeout)?;
        Ok([self.inbox.take(), self.kick.take()])
    }

    /// Watches this descriptor instead of the one before.
    fn watch_kick(&mut self, kick: Option<&Arc<Notifier>>) -> io::Result<()> {
        let same = match (&self.kick_of, kick) {
            (None, None) => true,
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            _ => false,
        };
        if !same {
            self.let_go()?;
            self.kick_of = kick.map(Arc::clone);
        }
        Ok(())
    }

    /// Lets go of the descriptor that kicks come by: after that neither the kernel has it nor we.
    pub(crate) fn let_go(&mut self) -> io::Result<()> {
        for _ in 0..LET_GO_TRIES {
            let Some(entry) = self.kick.disarm(REMOVED) else { break };
            self.push(&entry);
            // Some kernels find the poll busy, and have to be told again.
            self.enter_for(1, Some(LET_GO_EACH))?;
        }
        let left = self.kick.is_armed();
        self.kick = self.kick.next();
        self.kick_of = None;
        if left { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }

    /// Submits what is left of the operation in this slot, unless it has to wait for others.
    fn go_on(&mut self, at: usize) {
        let (room, may) = (self.submitted < setup::MOST_SUBMITTED, self.may_bounce());
        let Some(slot) = self.slots.get(at) else { return };
        match if room { slot.plan(may) } else { Ok(false) } {
            Ok(true) => {}
            Ok(false) => return self.waiting.push_back(at),
            Err(error) => return self.end(at, Err(error)),
        }
        self.bounced += slot.holds();
        self.submitted += 1;
        let entry = slot.entry().user_data(at as u64);
        self.push(&entry);
    }

    /// The operation in this slot is over.
    fn end(&mut self, at: usize, result: io::Result<usize>) {
        if let Some(Job { request, tag, .. }) = self.slots.remove(at) {
            self.finished.push_back(Finished { request, tag, result });
        }
    }

    /// Whether whatever waits could go on.
    fn has_room(&self) -> bool {
        self.submitted < setup::MOST_SUBMITTED && self.may_bounce() == MayBounce::Yes
    }

    fn may_bounce(&self) -> MayBounce {
        if self.bounced < MOST_BOUNCED { MayBounce::Yes } else { MayBounce::No }
    }

    fn push(&mut self, entry: &squeue::Entry) {
        loop {
            // SAFETY: what the entry points to are a slot's pieces, which stay where they are, and
            // the memory that they name, which the slot's request or transfer keeps, until it is
            // done; see `Drop`. Its descriptor is open until it is submitted: the slot holds the
            // file, `kick_of` the notifier, and the inbox is the thread's.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return;
            }
            // It is full. What cannot be submitted now is tried again.
            let _ = self.ring.submit();
        }
    }

    fn enter_for(&mut self, want: usize, timeout: Option<Duration>) -> io::Result<()> {
        let entered = match timeout {
            Some(timeout) if want != 0 => {
                let timeout = Timespec::from(timeout);
                let args = SubmitArgs::new().timespec(&timeout);
                self.ring.submitter().submit_with_args(want, &args)
            }
            _ if want != 0 => self.ring.submit_and_wait(want),
            _ => self.submit_and_look(),
        };
        self.reap();
        match entered.map_err(|error| (error.raw_os_error(), error)) {
            // Too much at once, a signal, or the time is over: all of that is looked at anyway.
            Err((Some(libc::EAGAIN | libc::EBUSY | libc::EINTR | libc::ETIME), _)) | Ok(_) => {
                Ok(())
            }
            Err((_, error)) => Err(error),
        }
    }

    /// Submits, and has the kernel put what has finished where we can see it.
    fn submit_and_look(&mut self) -> io::Result<usize> {
        /// IORING_ENTER_GETEVENTS
        const GET_EVENTS: u32 = 1;
        let mut submission = self.ring.submission();
        submission.sync();
        let count = u32::try_from(submission.len()).unwrap_or(0);
        drop(submission);
        let submitter = self.ring.submitter();
        // SAFETY: no argument is passed, and as many entries are there as is said.
        unsafe { submitter.enter::<libc::sigset_t>(count, 0, GET_EVENTS, None) }
    }

    fn reap(&mut self) {
        loop {
            let Some(entry) = self.ring.completion().next() else { return };
            let name = entry.user_data();
            if name & POLL == 0 {
                self.take(name, entry.result());
            } else if name == INBOX {
                self.inbox.saw(&entry);
            } else if name == self.kick.name() {
                self.kick.saw(&entry);
            }
        }
    }

    /// The kernel has done something for the slot of that name.
    fn take(&mut self, name: u64, result: i32) {
        let Ok(at) = usize::try_from(name) else { return };
        let Some(slot) = self.slots.get(at) else { return };
        self.bounced -= slot.holds();
        self.submitted -= 1;
        match slot.took(result) {
            Taken::InPart => self.go_on(at),
            Taken::Whole(result) => self.end(at, result),
        }
        while self.has_room()
            && let Some(at) = self.waiting.pop_front()
        {
            self.go_on(at);
        }
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        // The kernel works on what the slots hold. A thread stops only when nothing is in flight.
        while self.is_busy() {
            if self.enter_for(1, None).is_err() {
                std::process::abort();
            }
        }
    }
}

impl std::fmt::Debug for Uring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uring").field("in_flight", &self.slots.in_flight()).finish_non_exhaustive()
    }
}

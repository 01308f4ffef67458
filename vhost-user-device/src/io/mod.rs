// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a queue's thread has the host do with files while it goes on.
//!
//! A device hands over a request with an [`Operation`], and gets it back when that is done. Until
//! then the request belongs to this room, so the guest memory that the kernel reads from or writes
//! to stays mapped.
//!
//! What need not wait is done at once, by the calling thread. The rest goes to the thread's own
//! io_uring, or, where there is none, to the threads of a [`pool::Pool`].

mod file;
mod habit;
mod operation;
mod pool;
mod supply;
mod transfer;
mod tries;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::queue::Inbox;
use crate::ring::Request;
use crate::sys::{Notifier, Uring, Wait, wait_readable};
use habit::Habit;
use pool::PoolEnd;

pub use file::{Access, HostFile};
pub use operation::{Finished, Operation};
pub(crate) use pool::{Job, Prepare, Task};
pub use supply::SupplyError;
pub(crate) use supply::{Portion, Supply};
pub(crate) use transfer::{MayBounce, Transfer};
pub(crate) use tries::Tries;

/// The operations of one queue's thread.
#[derive(Debug, Default)]
pub(crate) struct Io {
    uring: Option<Box<Uring>>,
    pool: Option<PoolEnd>,
    /// What is done at once uses this again and again.
    transfer: Transfer,
    writes: Habit,
}

impl Io {
    /// With an io_uring all but what no io_uring can do goes there; with neither, the calling thread
    /// waits.
    pub(crate) fn new(uring: Option<Uring>, pool: Option<PoolEnd>) -> Self {
        Self { uring: uring.map(Box::new), pool, ..Self::default() }
    }

    /// Has an operation done, or does it if it need not wait.
    #[inline]
    pub(crate) fn start(
        &mut self,
        file: &Arc<HostFile>,
        operation: Operation,
        request: Request,
        tag: u64,
    ) -> Option<Finished> {
        // What was started before must not wait with us, if this waits after all.
        if file.may_wait_at_once(&operation) && self.has_unsubmitted() {
            // What could not be submitted is tried again at the end of the round.
            let _ = self.enter();
        }
        match file.at_once(&operation, &request, &mut self.transfer, &mut self.writes) {
            Ok(done) if done != 0 && done == operation.len() => {
                Some(Finished { request, tag, result: Ok(done) })
            }
            Ok(done) => {
                let file = Arc::clone(file);
                self.hand_over(Job { file, operation, done, request, tag })
            }
            Err(error) => Some(Finished { request, tag, result: Err(error) }),
        }
    }

    fn hand_over(&mut self, job: Job) -> Option<Finished> {
        match (&mut self.uring, &self.pool) {
            (Some(uring), _) if uring.can(&job.operation) => uring.start(job),
            (_, Some(pool)) => pool.start(job),
            _ => return Some(job.perform(&mut self.transfer)),
        }
        None
    }

    /// Has something done by a thread that may wait, or does it, if there is none.
    pub(crate) fn run(&self, task: Task) {
        match &self.pool {
            Some(pool) => pool.run(task),
            None => task(),
        }
    }

    /// Whether something was started that the kernel has not been told of.
    #[inline]
    pub(crate) fn has_unsubmitted(&mut self) -> bool {
        self.uring.as_mut().is_some_and(|uring| uring.has_unsubmitted())
    }

    /// Whether there is something to be had by [`Self::enter`].
    #[inline]
    pub(crate) fn has_news(&mut self) -> bool {
        self.uring.as_mut().is_some_and(|uring| uring.has_news())
    }

    /// Lets go of the descriptor that the last [`Self::wait`] was told of.
    pub(crate) fn let_go_of_kick(&mut self) -> io::Result<()> {
        self.uring.as_mut().map_or(Ok(()), |uring| uring.let_go())
    }

    /// Begins what was started, and looks at what has finished.
    pub(crate) fn enter(&mut self) -> io::Result<()> {
        self.uring.as_mut().map_or(Ok(()), |uring| uring.enter())
    }

    /// The next operation that has finished.
    #[inline]
    pub(crate) fn finished(&mut self) -> Option<Finished> {
        self.uring.as_mut().and_then(|uring| uring.finished())
    }

    /// Waits until an operation has finished, there may be a command, the driver has kicked, or the
    /// time is over.
    pub(crate) fn wait(
        &mut self,
        inbox: &Inbox,
        kick: Option<&Arc<Notifier>>,
        timeout: Option<Duration>,
    ) -> io::Result<[Wait; 2]> {
        match &mut self.uring {
            Some(uring) => uring.wait(inbox.fd(), kick, timeout),
            None => wait_readable([Some(inbox.fd()), kick.map(|kick| kick.fd())], timeout),
        }
    }
}

#[cfg(test)]
mod tests;

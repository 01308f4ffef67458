// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Threads that wait for the host.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use super::{Finished, HostFile, Operation, Transfer};
use crate::queue::Mailbox;
use crate::ring::Request;
use crate::sys;

/// The stack of a thread in bytes; only what is touched of it costs memory.
const STACK: usize = 128 * 1024;

/// A fixed number of threads for the operations of all queues.
#[derive(Debug)]
pub(crate) struct Pool {
    line: Arc<Line>,
    threads: Vec<JoinHandle<()>>,
}

/// Where jobs wait.
#[derive(Debug, Default)]
struct Line {
    jobs: Mutex<Jobs>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Jobs {
    waiting: VecDeque<Work>,
    /// How many threads wait for a job.
    idle: usize,
    closed: bool,
}

/// What a thread is given to do.
enum Work {
    /// An operation, and the queue that it comes home to.
    Operation(Job, Mailbox),
    /// Anything else, which sends home by itself what it has.
    Task(Task),
}

/// Something that a device has done on a thread that may wait.
pub(crate) type Task = Box<dyn FnOnce() + Send>;

/// Makes a thread ready for what it will be given.
pub(crate) type Prepare = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// A queue's end of the pool: what is done comes home to that queue.
#[derive(Clone, Debug)]
pub(crate) struct PoolEnd {
    line: Arc<Line>,
    home: Mailbox,
}

/// An operation that was handed over.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) file: Arc<HostFile>,
    pub(crate) operation: Operation,
    /// Bytes that are done of it.
    pub(crate) done: usize,
    pub(crate) request: Request,
    pub(crate) tag: u64,
}

impl Job {
    /// Does it, however long that takes.
    pub(super) fn perform(self, transfer: &mut Transfer) -> Finished {
        let Self { file, operation, done, request, tag } = self;
        let result = file.perform(&operation, done, &request, transfer);
        Finished { request, tag, result }
    }
}

impl Pool {
    /// Starts `count` threads, named `NAME-io0` and so on, on these CPUs, or on any, and waits until
    /// they have all that a thread needs from the system: later they may not get it. Each one calls
    /// `prepare` first.
    pub(crate) fn start(
        name: &str,
        count: usize,
        cpus: &[usize],
        prepare: &Prepare,
    ) -> io::Result<Self> {
        let mut pool = Self { line: Arc::default(), threads: Vec::new() };
        let (settled, all_settled) = channel();
        for index in 0..count {
            let (line, cpus) = (Arc::clone(&pool.line), cpus.to_vec());
            let settled: Sender<io::Error> = settled.clone();
            let prepare = Arc::clone(prepare);
            let thread = Builder::new().name(format!("{name}-io{index}")).stack_size(STACK);
            pool.threads.push(thread.spawn(move || {
                if let Err(error) = sys::run_on(&cpus) {
                    log::warn!("have a thread for I/O run on CPUs {cpus:?}: {error}");
                }
                if let Err(error) = prepare() {
                    // Who started us waits for it.
                    let _ = settled.send(error);
                    return;
                }
                drop(settled);
                line.work();
            })?);
        }
        drop(settled);
        // Without an error, the end of this is that all have let go of theirs.
        all_settled.recv().map_or(Ok(pool), Err)
    }

    /// The end of a queue with this mailbox.
    pub(crate) fn end(&self, home: Mailbox) -> PoolEnd {
        PoolEnd { line: Arc::clone(&self.line), home }
    }
}

impl PoolEnd {
    pub(crate) fn start(&self, job: Job) {
        self.give(Work::Operation(job, self.home.clone()));
    }

    pub(crate) fn run(&self, task: Task) {
        self.give(Work::Task(task));
    }

    fn give(&self, work: Work) {
        let mut jobs = self.line.lock();
        jobs.waiting.push_back(work);
        // Whoever is at work looks for more by itself.
        if jobs.idle != 0 {
            self.line.more.notify_one();
        }
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        // A panic ends the process.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut transfer = Transfer::default();
        while let Some(work) = self.next() {
            match work {
                Work::Operation(job, home) => home.finished(job.perform(&mut transfer)),
                Work::Task(task) => task(),
            }
        }
    }

    /// The next thing to do, or `None` when there will be no more.
    fn next(&self) -> Option<Work> {
        let mut jobs = self.lock();
        loop {
            if let Some(work) = jobs.waiting.pop_front() {
                return Some(work);
            }
            if jobs.closed {
                return None;
            }
            jobs.idle += 1;
            jobs = self.more.wait(jobs).unwrap_or_else(PoisonError::into_inner);
            jobs.idle -= 1;
        }
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation(job, _) => f.debug_tuple("Operation").field(job).finish(),
            Self::Task(_) => f.debug_tuple("Task").finish_non_exhaustive(),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.line.lock().closed = true;
        self.line.more.notify_all();
        for thread in self.threads.drain(..) {
            // A panic has been reported by the thread itself.
            let _ = thread.join();
        }
    }
}

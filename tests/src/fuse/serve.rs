// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The side of the file that answers: its bytes, what came, and what a test wants of the answers.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::wire::{self, Call, Op, Request, opcode};
use crate::deadline::Deadline;
use crate::eventfd::EventFd;

/// One step in the life of a request, as the file sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It came.
    Came(Call),
    /// It was answered, with an errno or 0.
    Answered(Call, i32),
}

/// What the file is to be like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Reads go by way of the kernel's page cache; writes reach the file before they end.
    pub cached: bool,
    /// Writes, too, stay in the page cache until they are asked for.
    pub writeback: bool,
    /// It cannot be opened with O_DIRECT.
    pub no_direct: bool,
    /// Locks are asked for here, so that they can be refused.
    pub asks_for_locks: bool,
}

/// What is behind the mount.
#[derive(Debug)]
pub(super) struct Server {
    manner: Manner,
    /// The connection to the kernel; gone when the file has vanished.
    device: Mutex<Option<Arc<File>>>,
    state: Mutex<State>,
    changed: Condvar,
    stop: EventFd,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) bytes: Vec<u8>,
    pub(super) events: Vec<Event>,
    pub(super) held: HashSet<Op>,
    waiting: Vec<Request>,
    pub(super) failures: Vec<Failure>,
}

/// What is answered instead of the truth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    pub(super) op: Op,
    pub(super) errno: i32,
    /// Once only.
    pub(super) once: bool,
}

impl Server {
    /// Answers what comes from `device`, on a thread of its own.
    pub(super) fn start(device: File, bytes: Vec<u8>, manner: Manner) -> (Arc<Self>, Loop) {
        let device = Arc::new(device);
        let server = Arc::new(Self {
            manner,
            device: Mutex::new(Some(Arc::clone(&device))),
            state: Mutex::new(State { bytes, ..State::default() }),
            changed: Condvar::new(),
            stop: EventFd::new(),
        });
        let theirs = Arc::clone(&server);
        let thread = thread::spawn(move || theirs.serve(&device));
        (Arc::clone(&server), Loop { server, thread: Some(thread) })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `look` finds something.
    #[track_caller]
    pub(super) fn until<T>(&self, what: &str, look: impl Fn(&State) -> Option<T>) -> T {
        let deadline = Deadline::new();
        let mut state = self.state();
        loop {
            if let Some(found) = look(&state) {
                return found;
            }
            let last = &state.events[state.events.len().saturating_sub(16)..];
            assert!(!deadline.is_over(), "waited in vain for {what}; at last: {last:?}");
            let waited = self.changed.wait_timeout(state, deadline.left());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Answers what was held back so far.
    pub(super) fn answer_those_held(&self, op: Op) {
        let mut state = self.state();
        let all = std::mem::take(&mut state.waiting);
        let (now, later) = all.into_iter().partition(|request| request.call.op() == Some(op));
        state.waiting = later;
        drop(state);
        let now: Vec<Request> = now;
        for request in now {
            self.answer(&request);
        }
    }

    fn serve(&self, device: &File) {
        let mut bytes = vec![0; wire::LONGEST];
        loop {
            let deadline = Deadline::never();
            if deadline.first_readable(&[self.stop.as_fd(), device.as_fd()]) != Some(1) {
                return;
            }
            // An error means that what was there was taken back, or that nothing is mounted any
            // more; the latter is told by the other descriptor.
            match (&mut &*device).read(&mut bytes) {
                Ok(len) => self.take(Request::parse(&bytes[..len])),
                Err(e) if e.raw_os_error() == Some(libc::ENODEV) => return,
                Err(_) => (),
            }
        }
    }

    fn take(&self, request: Request) {
        if matches!(request.opcode, opcode::FORGET | opcode::BATCH_FORGET | opcode::INTERRUPT) {
            return;
        }
        let mut state = self.state();
        state.events.push(Event::Came(request.call));
        self.changed.notify_all();
        if request.call.op().is_some_and(|op| state.held.contains(&op)) {
            state.waiting.push(request);
            return;
        }
        drop(state);
        self.answer(&request);
    }

    fn answer(&self, request: &Request) {
        let mut state = self.state();
        let result = match state.failure(request.call) {
            Some(errno) => Err(errno),
            None => state.execute(request, self.manner),
        };
        let errno = result.as_ref().err().copied().unwrap_or(0);
        let bytes = request.answer(result.as_deref().map_err(|errno| *errno));
        // Before the one who asked can know.
        state.events.push(Event::Answered(request.call, errno));
        self.changed.notify_all();
        drop(state);
        let device = self.device();
        if let Some(mut device) = device.as_deref() {
            // Who has asked may have gone.
            let _ = device.write(&bytes);
        }
    }

    fn device(&self) -> Option<Arc<File>> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl State {
    /// What `call` is to be answered with instead of the truth.
    fn failure(&mut self, call: Call) -> Option<i32> {
        let at = self.failures.iter().position(|failure| call.op() == Some(failure.op))?;
        let failure = self.failures[at];
        if failure.once {
            self.failures.remove(at);
        }
        Some(failure.errno)
    }

    fn execute(&mut self, request: &Request, manner: Manner) -> Result<Vec<u8>, i32> {
        let len = u64::try_from(self.bytes.len()).expect("a length in 64 bits");
        match (request.call, request.opcode) {
            (Call::Open { flags }, _) => {
                if manner.no_direct && flags & libc::O_DIRECT != 0 {
                    return Err(libc::EINVAL);
                }
                let cached = manner.cached || manner.writeback;
                Ok(wire::opened(if cached { 0 } else { wire::PAST_THE_CACHE }))
            }
            (Call::Read { offset, len: count }, _) => {
                let start = offset.min(len);
                let end = len.min(start + u64::from(count));
                Ok(self.bytes[index(start)..index(end)].to_vec())
            }
            (Call::Write { offset, len: count, .. }, _) => {
                let end = index(offset) + index(count.into());
                self.bytes.resize(self.bytes.len().max(end), 0);
                self.bytes[index(offset)..end].copy_from_slice(request.data());
                Ok(wire::written(count))
            }
            (Call::Fallocate { offset, len: count, .. }, _) => {
                let (start, end) = (offset.min(len), len.min(offset.saturating_add(count)));
                self.bytes[index(start)..index(end)].fill(0);
                Ok(Vec::new())
            }
            (Call::Lock, opcode::GETLK) => Ok(wire::no_lock()),
            (Call::Fsync | Call::Lock, _) | (_, opcode::FLUSH | opcode::RELEASE) => Ok(Vec::new()),
            (_, opcode::INIT) => Ok(wire::init(init_flags(manner))),
            (_, opcode::GETATTR) => Ok(wire::attributes(len)),
            (_, opcode::SETATTR) => {
                let len = request.new_len().unwrap_or(len);
                self.bytes.resize(index(len), 0);
                Ok(wire::attributes(len))
            }
            (_, opcode::STATFS) => Ok(wire::room()),
            _ => Err(libc::ENOSYS),
        }
    }
}

fn init_flags(manner: Manner) -> u32 {
    let locks = if manner.asks_for_locks { wire::POSIX_LOCKS } else { 0 };
    let writeback = if manner.writeback { wire::WRITEBACK_CACHE } else { 0 };
    locks | writeback
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("an offset into our own memory")
}

/// The thread that answers. When it has ended, whoever asks gets ENOTCONN.
#[derive(Debug)]
pub(super) struct Loop {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
}

impl Loop {
    /// Ends it, and the connection to the kernel.
    pub(super) fn end(&mut self) {
        self.server.stop.signal();
        if let Some(thread) = self.thread.take() {
            // A panic in it was told on standard error, and the test fails by what is not answered.
            let _ = thread.join();
        }
        *self.server.device.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.end();
    }
}

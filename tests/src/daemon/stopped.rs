// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A thread of a daemon that stands still, while the rest of it goes on.

use std::marker::PhantomData;
use std::rc::Rc;

use super::running::Process;
use crate::sys;

/// A thread that does nothing as long as this lives: so a queue never has done what it was told,
/// as with a disk that does not answer.
#[derive(Debug)]
pub struct StoppedThread {
    tid: i32,
    /// Only the thread that stopped it may let it go on.
    _not_send: PhantomData<Rc<()>>,
}

impl StoppedThread {
    /// Stops the thread `name` of `process`, a child of ours.
    #[track_caller]
    pub(super) fn of(process: &Process, name: &str) -> Self {
        let tid = process.thread(name).unwrap_or_else(|| panic!("a thread {name} of the daemon"));
        sys::stop_thread(tid).unwrap_or_else(|e| panic!("stop the thread {name}: {e}"));
        Self { tid, _not_send: PhantomData }
    }

    /// Lets it go on.
    pub fn resume(self) {}
}

impl Drop for StoppedThread {
    fn drop(&mut self) {
        // The daemon may have been killed meanwhile.
        let _ = sys::resume_thread(self.tid);
    }
}

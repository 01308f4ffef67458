// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A request's token: it owns the head of its chain and ends in exactly one way.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::buffers::Buffers;
use crate::memory::MemoryMap;
use crate::queue::Home;

/// A driver's request, from the moment it was taken from the available ring until it is in the
/// used ring.
///
/// It ends by [`Turn::complete`](crate::Turn::complete) on the thread that owns the
/// queue, by [`Request::send_home`] from any other, or, if nothing of it was done, by
/// [`Turn::hand_back`](crate::Turn::hand_back). A request that is dropped instead is
/// a bug of the device: a debug build aborts, a release build answers with the device's error
/// status.
///
/// It holds the guest memory that its buffers lie in.
#[must_use = "a request must be completed, or the driver waits for it for ever"]
pub struct Request {
    /// `None` only while it ends.
    parts: Option<Box<Parts>>,
}

/// What a request is made of. It is used again for the next one, with the room that its lists
/// have grown to, so that serving a request allocates nothing.
pub(crate) struct Parts {
    pub(super) head: u16,
    /// The available index that it was taken at; none if an earlier back end took it.
    pub(super) index: Option<u16>,
    pub(super) memory: Arc<MemoryMap>,
    pub(super) home: Arc<Home>,
    pub(super) readable: Buffers,
    pub(super) writable: Buffers,
    /// What of the device-writable part counts as written.
    pub(super) wrote: Range<usize>,
}

impl Request {
    /// The bytes that the driver has written for us.
    #[inline]
    pub fn readable(&self) -> &Buffers {
        &self.parts().readable
    }

    /// The bytes that we may write.
    #[inline]
    pub fn writable(&self) -> &Buffers {
        &self.parts().writable
    }

    /// Says that of the device-writable part only `range` was written, if anything: for requests that
    /// fail, and put a status behind data that they did not touch. Without this all of it counts as
    /// written when a migrating front end is told.
    pub fn wrote_only(&mut self, range: Range<usize>) {
        if let Some(parts) = &mut self.parts {
            parts.wrote = range;
        }
    }

    /// Sends the request to the thread that owns its queue, which completes it: the first
    /// `written` bytes of the device-writable part were written. For pools and other queues.
    pub fn send_home(self, written: u32) {
        let home = Arc::clone(&self.parts().home);
        home.receive(self, written);
    }

    /// Ends a request whose ring is gone.
    pub(crate) fn discard(self) {
        drop(self.into_parts());
    }

    pub(super) fn new(parts: Box<Parts>) -> Self {
        Self { parts: Some(parts) }
    }

    #[inline]
    pub(super) fn into_parts(mut self) -> Box<Parts> {
        self.parts.take().expect("a request has its parts until it ends")
    }

    #[inline]
    pub(super) fn parts(&self) -> &Parts {
        self.parts.as_ref().expect("a request has its parts until it ends")
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let Some(parts) = self.parts.take() else { return };
        log::error!("bug: request with head {} dropped without an answer", parts.head);
        if cfg!(debug_assertions) {
            std::process::abort();
        }
        let request = Self::new(parts);
        let written = (request.parts().home.fail)(&request);
        request.send_home(written);
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { head, readable, writable, .. } = self.parts();
        f.debug_struct("Request")
            .field("head", head)
            .field("readable", readable)
            .field("writable", writable)
            .finish_non_exhaustive()
    }
}

/// Parts of requests that have ended, to be used again. As many as were ever in flight at once.
pub(super) struct Spares {
    home: Arc<Home>,
    #[expect(clippy::vec_box, reason = "boxes move between here and requests; parts stay put")]
    spares: Vec<Box<Parts>>,
}

impl Spares {
    pub(super) fn new(home: Arc<Home>) -> Self {
        Self { home, spares: Vec::new() }
    }

    pub(super) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// Parts with empty lists, for a chain in `memory`.
    #[inline]
    pub(super) fn take(
        &mut self,
        head: u16,
        index: Option<u16>,
        memory: &Arc<MemoryMap>,
    ) -> Box<Parts> {
        let Some(mut parts) = self.spares.pop() else {
            return Box::new(Parts {
                head,
                index,
                memory: Arc::clone(memory),
                home: Arc::clone(&self.home),
                readable: Buffers::default(),
                writable: Buffers::default(),
                wrote: 0..usize::MAX,
            });
        };
        parts.head = head;
        parts.index = index;
        parts.readable.clear();
        parts.writable.clear();
        parts.wrote = 0..usize::MAX;
        // Nearly always the same, and then no shared count is touched.
        if !Arc::ptr_eq(&parts.memory, memory) {
            parts.memory = Arc::clone(memory);
        }
        parts
    }

    /// Keeps parts for later, unless they hold memory that is not `current` any more, or lists that
    /// are not worth it.
    #[inline]
    pub(super) fn keep(&mut self, parts: Box<Parts>, current: Option<&Arc<MemoryMap>>) {
        let is_large = parts.readable.is_large() || parts.writable.is_large();
        if !is_large && current.is_some_and(|memory| Arc::ptr_eq(&parts.memory, memory)) {
            self.spares.push(parts);
        }
    }

    /// Lets go of all spares, and so of the memory that they hold.
    pub(super) fn clear(&mut self) {
        self.spares.clear();
    }
}

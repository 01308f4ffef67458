// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Places where a test can end us, and an order of service that no test could wait for. Without the
//! feature `test-hooks`, which no release has, nothing of this is compiled but empty functions.

#[cfg(feature = "test-hooks")]
mod armed;

use crate::ring::Request;

/// A point in the life of a request, or of the group that it is given back with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// It is marked in the in-flight region.
    Mark,
    /// The device has done it; nothing is recorded of that.
    Submission,
    /// That it is done is recorded here; nothing is in the ring.
    Completion,
    /// The used elements of its group are written.
    UsedElement,
    /// `used.idx` is stored.
    UsedIdx,
    /// Half of the marks of its group are cleared.
    HalfMarks,
    /// All is done but the call.
    Call,
}

/// Aborts the process if this is the point, and the time that it is passed, that the test chose.
#[inline]
pub(crate) fn pass(point: Point) {
    #[cfg(feature = "test-hooks")]
    armed::pass(point);
    #[cfg(not(feature = "test-hooks"))]
    let _ = point;
}

/// Reads what the test chose, so that a mistake in it is found at once.
pub(crate) fn arm() {
    #[cfg(feature = "test-hooks")]
    armed::arm();
}

/// The requests of one round that are held until all of them are there, if the test chose that.
#[derive(Default)]
pub(crate) struct Held {
    #[cfg(feature = "test-hooks")]
    held: armed::Held,
}

impl Held {
    /// Holds a request, or gives it back to be served at once.
    #[inline]
    pub(crate) fn hold(&mut self, request: Request) -> Option<Request> {
        #[cfg(feature = "test-hooks")]
        return self.held.hold(request);
        #[cfg(not(feature = "test-hooks"))]
        Some(request)
    }

    /// Those that are held, in another order.
    #[inline]
    pub(crate) fn shuffled(self) -> impl Iterator<Item = Request> {
        #[cfg(feature = "test-hooks")]
        return self.held.shuffled();
        #[cfg(not(feature = "test-hooks"))]
        std::iter::empty()
    }
}

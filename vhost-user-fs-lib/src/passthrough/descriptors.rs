// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! How many descriptors the client may have us hold open.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Descriptors that may still be held.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicUsize,
}

/// The right to hold one descriptor, which goes back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<Budget>);

/// A descriptor that is held for the client.
#[derive(Debug)]
pub(super) struct Descriptor {
    fd: OwnedFd,
    _permit: Permit,
}

impl Budget {
    pub(super) fn new(descriptors: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(descriptors) })
    }

    pub(super) fn take(self: &Arc<Self>) -> Option<Permit> {
        let less = |left: usize| left.checked_sub(1);
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok().then(|| Permit(Arc::clone(self)))
    }

    /// How many are left.
    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.left.fetch_add(1, Ordering::Relaxed);
    }
}

impl Descriptor {
    pub(super) fn new(fd: OwnedFd, permit: Permit) -> Self {
        Self { fd, _permit: permit }
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_come_back_and_are_never_more_than_there_were() {
        let budget = Budget::new(2);
        let (first, second) = (budget.take(), budget.take());
        assert!(first.is_some() && second.is_some());
        assert!(budget.take().is_none());
        drop(first);
        assert!(budget.take().is_some());
        drop(second);
        assert_eq!(budget.left(), 2);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The split ring's protocol, device side (virtio 1.3, section 2.7): which heads are available,
//! which are used, and who is notified. No memory but the shared words, no chains, no threads.

use super::inflight::NotRecoverable;
use super::shared::{NO_INTERRUPT, NO_NOTIFY, SharedRing};

/// As far from an index as another one can be.
const FAR: u16 = 0x8000;

/// Where the device is in a ring. It outlives the pointers: a ring that does not translate for a
/// while goes on from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Index of the next available entry to take; GET_VRING_BASE's answer.
    pub(crate) next_avail: u16,
    /// Index of the next used element to write.
    next_used: u16,
    /// `used.idx` as the driver knows it.
    published: u16,
    /// Whether a call was considered since the start: before the first one, the driver's
    /// `used_event` says nothing about us.
    considered: bool,
}

impl Position {
    /// Where a ring starts: at the entry that SET_VRING_BASE said, and at the used index that is
    /// in the ring.
    pub(crate) fn at_start(next_avail: u16, used_idx: u16) -> Self {
        Self { next_avail, next_used: used_idx, published: used_idx, considered: false }
    }
}

/// The driver wrote what no driver may write: the ring cannot be served any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RingBroken {
    #[error("available index {idx} is {ahead} entries ahead of {next}, ring size {size}")]
    AvailIndex { idx: u16, next: u16, ahead: u16, size: u16 },
    #[error("head {head} is beyond ring size {size}")]
    Head { head: u16, size: u16 },
    #[error("head {head} is in flight already")]
    InFlight { head: u16 },
    #[error(transparent)]
    NotRecoverable(#[from] NotRecoverable),
}

/// One split ring, device side.
#[derive(Debug)]
pub(crate) struct SplitRing<S> {
    shared: S,
    event_idx: bool,
    position: Position,
    /// `avail.idx` when it was last read.
    avail_idx: u16,
    /// Whether the driver may have been asked for kicks.
    kicks: bool,
}

impl<S: SharedRing> SplitRing<S> {
    /// The ring at these shared words, with VIRTIO_F_EVENT_IDX or without, from `position` on.
    pub(crate) fn new(shared: S, event_idx: bool, position: Position) -> Self {
        Self { shared, event_idx, position, avail_idx: position.next_avail, kicks: true }
    }

    /// The ring's size in descriptors.
    pub(crate) fn size(&self) -> u16 {
        self.shared.size()
    }

    pub(crate) fn shared(&self) -> &S {
        &self.shared
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Takes the next available entry: the head of a chain, below the ring's size.
    #[inline]
    pub(crate) fn pop(&mut self) -> Result<Option<u16>, RingBroken> {
        let next = self.position.next_avail;
        if self.avail_idx == next {
            self.avail_idx = self.shared.avail_idx();
            let (size, ahead) = (self.shared.size(), self.avail_idx.wrapping_sub(next));
            if ahead == 0 {
                return Ok(None);
            }
            if ahead > size {
                let idx = std::mem::replace(&mut self.avail_idx, next);
                return Err(RingBroken::AvailIndex { idx, next, ahead, size });
            }
        }
        let size = self.shared.size();
        let head = self.shared.avail_entry(next & (size - 1));
        if head >= size {
            return Err(RingBroken::Head { head, size });
        }
        self.position.next_avail = next.wrapping_add(1);
        Ok(Some(head))
    }

    /// Gives the newest entry taken back, as if it had not been.
    pub(crate) fn unpop(&mut self) {
        self.position.next_avail = self.position.next_avail.wrapping_sub(1);
    }

    /// Writes a used element: the chain at `head` is done, `written` bytes of it were written.
    /// The driver sees it at the next [`Self::publish`].
    #[inline]
    pub(crate) fn push_used(&mut self, head: u16, written: u32) {
        let slot = self.position.next_used & (self.shared.size() - 1);
        self.shared.set_used_element(slot, head, written);
        self.position.next_used = self.position.next_used.wrapping_add(1);
    }

    /// `used.idx` as the driver knows it.
    #[inline]
    pub(crate) fn published(&self) -> u16 {
        self.position.published
    }

    /// Whether used elements wait to be published.
    #[inline]
    pub(crate) fn has_unpublished(&self) -> bool {
        self.position.next_used != self.position.published
    }

    /// Publishes the used elements written so far, all at once. Returns whether the driver wants
    /// a call for them.
    #[inline]
    #[must_use]
    pub(crate) fn publish(&mut self) -> bool {
        if !self.has_unpublished() {
            return false;
        }
        let (old, new) = (self.position.published, self.position.next_used);
        self.shared.set_used_idx(new);
        self.position.published = new;
        // The driver writes its wish, then reads used.idx; we write used.idx, then read its wish:
        // with a fence between the two on both sides, one of us sees what the other wrote.
        self.shared.fence();
        if !self.event_idx {
            return self.shared.avail_flags() & NO_INTERRUPT == 0;
        }
        let first = !std::mem::replace(&mut self.position.considered, true);
        first || crossed(self.shared.used_event(), old, new)
    }

    /// Asks the driver for no kicks, while we look at the ring anyway. Returns whether anything had
    /// to be written for that.
    ///
    /// With EVENT_IDX the event index is moved as far away as it goes: the driver passes it, and
    /// kicks, once in 32768 entries.
    #[inline]
    pub(crate) fn disable_kicks(&mut self) -> bool {
        if !std::mem::replace(&mut self.kicks, false) {
            return false;
        }
        if self.event_idx {
            self.shared.set_avail_event(self.position.next_avail.wrapping_add(FAR));
        } else {
            self.shared.set_used_flags(NO_NOTIFY);
        }
        true
    }

    /// Whether there is an available entry to take.
    #[inline]
    pub(crate) fn has_available(&self) -> bool {
        self.shared.avail_idx() != self.position.next_avail
    }

    /// Asks the driver for a kick at the next available entry. Returns whether there is one
    /// already, for which no kick may come: then the ring must be looked at again.
    #[inline]
    #[must_use]
    pub(crate) fn enable_kicks(&mut self) -> bool {
        self.kicks = true;
        if self.event_idx {
            self.shared.set_avail_event(self.position.next_avail);
        } else {
            self.shared.set_used_flags(0);
        }
        // As in `publish`: we write our wish, then read avail.idx; the driver does the reverse.
        self.shared.fence();
        self.has_available()
    }
}

/// Whether an index that moved from `old` to `new` passed `event` (virtio 1.3, section 2.7.10).
#[inline]
fn crossed(event: u16, old: u16, new: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

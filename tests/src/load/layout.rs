// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Where everything of a queue is in the memory that it shares with the device.

/// Descriptors of a slot: three of them make its chain, and four are a line of the cache.
const DESCRIPTORS: usize = 4;
/// The length of a descriptor.
const DESCRIPTOR: usize = 16;
/// What is written by different sides, or at different times, is so far apart.
const LINE: usize = 64;
/// Buffers begin at such offsets, but for their misalignment.
const PAGE: usize = 4096;

/// The shape of a queue's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// How many there are at once.
    pub(super) depth: u16,
    /// How many bytes each moves.
    pub(super) block: usize,
    /// How far behind a page's beginning its buffer begins.
    pub(super) misalign: usize,
    /// Whether a chain is in a table of its own.
    pub(super) indirect: bool,
}

/// Offsets of the parts of a queue from the beginning of its memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    shape: Shape,
    /// How many descriptors the queue has.
    pub(super) size: u16,
    pub(super) available: usize,
    pub(super) used: usize,
    tables: usize,
    requests: usize,
    data: usize,
    stride: usize,
    /// The length of all.
    pub(super) len: usize,
}

impl Layout {
    /// The descriptor table is at the beginning.
    pub(super) fn new(shape: Shape) -> Self {
        let slots = usize::from(shape.depth);
        let descriptors = slots * if shape.indirect { 1 } else { DESCRIPTORS };
        let size = descriptors.next_power_of_two().max(4);
        let available = (size * DESCRIPTOR).next_multiple_of(PAGE);
        let used = (available + 6 + 2 * size).next_multiple_of(PAGE);
        let tables = (used + 6 + 8 * size).next_multiple_of(PAGE);
        let requests = tables + slots * DESCRIPTORS * DESCRIPTOR;
        let data = (requests + slots * LINE).next_multiple_of(PAGE);
        let stride = (shape.block + shape.misalign).next_multiple_of(PAGE);
        let len = data + slots * stride;
        let size = u16::try_from(size).expect("a queue of at most 32768 descriptors");
        Self { shape, size, available, used, tables, requests, data, stride, len }
    }

    /// Where the descriptors of a slot's chain are: in the queue's table or in one of its own.
    pub(super) fn chain(&self, slot: u16) -> usize {
        let table = if self.shape.indirect { self.tables } else { 0 };
        table + usize::from(slot) * DESCRIPTORS * DESCRIPTOR
    }

    /// The number of the first descriptor of a slot's chain in the queue's table.
    pub(super) fn head(&self, slot: u16) -> u16 {
        if self.shape.indirect { slot } else { slot << 2 }
    }

    /// The slot whose chain begins at `head`, if one does.
    pub(super) fn slot(&self, head: u32) -> Option<u16> {
        let head = u16::try_from(head).ok()?;
        let slot = if self.shape.indirect { head } else { head >> 2 };
        (slot < self.shape.depth && self.head(slot) == head).then_some(slot)
    }

    /// A slot's header; its status is in the same line.
    pub(super) fn header(&self, slot: u16) -> usize {
        self.requests + usize::from(slot) * LINE
    }

    /// The byte in which the device says how a slot's request ended.
    pub(super) fn status(&self, slot: u16) -> usize {
        self.header(slot) + 16
    }

    /// A slot's buffer.
    pub(super) fn data(&self, slot: u16) -> usize {
        self.data + usize::from(slot) * self.stride + self.shape.misalign
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { depth: 128, block: 4096, misalign: 8, indirect: false };

    #[test]
    fn head_leads_back_to_its_slot_and_no_other_number_does() {
        for indirect in [false, true] {
            let layout = Layout::new(Shape { indirect, ..SHAPE });
            let heads: Vec<u32> =
                (0..u32::from(u16::MAX)).filter(|head| layout.slot(*head).is_some()).collect();
            assert_eq!(heads.len(), 128);
            for slot in 0..128 {
                assert_eq!(layout.slot(layout.head(slot).into()), Some(slot));
            }
        }
    }

    #[test]
    fn buffers_are_misaligned_as_asked_for_and_lie_within() {
        let layout = Layout::new(SHAPE);
        assert!((0..128).all(|slot| layout.data(slot) % 4096 == 8));
        assert!(layout.data(127) + 4096 <= layout.len);
        assert!(layout.data(0) + 4096 <= layout.data(1));
    }

    #[test]
    fn parts_do_not_overlap() {
        for depth in [1, 32, 128, 256] {
            let layout = Layout::new(Shape { depth, ..SHAPE });
            let size = usize::from(layout.size);
            assert!(size * 16 <= layout.available);
            assert!(layout.available + 6 + 2 * size <= layout.used);
            assert!(layout.used + 6 + 8 * size <= layout.header(0));
            assert!(layout.status(depth - 1) < layout.data(0));
        }
    }
}

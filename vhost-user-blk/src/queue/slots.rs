// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Values that are found again by a number.

/// A list with holes, which are filled first. It becomes as long as there ever were values at once.
#[derive(Debug)]
pub(super) struct Slots<T>(Vec<Option<T>>);

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Slots<T> {
    /// Keeps a value; the number to find it by.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        let hole = self.0.iter().position(Option::is_none);
        let at = hole.unwrap_or(self.0.len());
        match self.0.get_mut(at) {
            Some(place) => *place = Some(value),
            None => self.0.push(Some(value)),
        }
        // A queue has at most 32768 requests in flight.
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// Takes the value with this number out.
    pub(super) fn remove(&mut self, slot: u32) -> Option<T> {
        self.0.get_mut(usize::try_from(slot).ok()?)?.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_found_by_its_number_once() {
        let mut slots = Slots::default();
        assert_eq!((slots.insert('a'), slots.insert('b')), (0, 1));
        assert_eq!(slots.remove(0), Some('a'));
        assert_eq!(slots.remove(0), None);
        assert_eq!(slots.remove(2), None);
        assert_eq!((slots.insert('c'), slots.insert('d')), (0, 2));
        assert_eq!(slots.remove(1), Some('b'));
        assert_eq!(slots.remove(0), Some('c'));
    }
}

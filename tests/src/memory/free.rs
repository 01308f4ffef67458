// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Which addresses of a region nobody has.

/// Free ranges of addresses, in their order; no two of them touch.
#[derive(Debug)]
pub(super) struct Free(Vec<Range>);

#[derive(Clone, Copy, Debug)]
struct Range {
    start: u64,
    end: u64,
}

impl Free {
    /// All `len` addresses from `start`.
    pub(super) fn new(start: u64, len: u64) -> Self {
        Self(vec![Range { start, end: start + len }])
    }

    /// Takes the lowest `len` addresses that are free in one piece; where they start.
    pub(super) fn take(&mut self, len: u64) -> Option<u64> {
        let start = self.0.iter().find(|range| range.end - range.start >= len)?.start;
        self.take_at(start, len);
        Some(start)
    }

    /// Takes the `len` addresses from `start`; `false` if they are not all free.
    pub(super) fn take_at(&mut self, start: u64, len: u64) -> bool {
        let end = start + len;
        let Some(at) = self.0.iter().position(|range| range.start <= start && end <= range.end)
        else {
            return false;
        };
        let whole = self.0.remove(at);
        let rest = [Range { end: start, ..whole }, Range { start: end, ..whole }];
        self.0.splice(at..at, rest.into_iter().filter(|range| range.start < range.end));
        true
    }

    /// Takes back the `len` addresses from `start`.
    pub(super) fn give_back(&mut self, start: u64, len: u64) {
        let mut range = Range { start, end: start + len };
        self.0.retain(|other| {
            let touches = other.end == range.start || other.start == range.end;
            if touches {
                range =
                    Range { start: range.start.min(other.start), end: range.end.max(other.end) };
            }
            !touches
        });
        let at = self.0.partition_point(|other| other.start < range.start);
        self.0.insert(at, range);
    }
}

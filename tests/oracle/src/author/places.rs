// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Where memory is, and where rings are in it.

use super::{longs, words};
use crate::random::Random;

/// A memory region as a message describes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    guest: u64,
    len: u64,
    user: u64,
    offset: u64,
}

const USER: u64 = 0x7f00_0000_0000;
const LEN: u64 = 0x10_0000;

/// Those that fit together.
const GOOD: [Span; 3] = [
    Span { guest: 0, len: LEN, user: USER, offset: 0 },
    Span { guest: LEN, len: LEN, user: USER + LEN, offset: 0x1000 },
    Span { guest: 1 << 32, len: LEN, user: USER - 0x10_0000_0000, offset: 0x20_0000 },
];

/// Those that overlap one of these, or are wrong in themselves.
const OTHERS: [Span; 8] = [
    Span { guest: LEN / 2, len: LEN, user: 1 << 45, offset: 0 },
    Span { guest: 1 << 40, len: LEN, user: USER + LEN / 2, offset: 0 },
    Span { guest: 1 << 41, len: 0, user: 1 << 41, offset: 0 },
    Span { guest: 0u64.wrapping_sub(0x1000), len: LEN, user: 1 << 42, offset: 0 },
    Span { guest: 1 << 42, len: LEN, user: 0u64.wrapping_sub(0x1000), offset: 0 },
    Span { guest: 1 << 43, len: LEN, user: 1 << 43, offset: 0u64.wrapping_sub(0x1000) },
    Span { guest: 1 << 43, len: LEN, user: 1 << 43, offset: 0x800 },
    // All that may be mapped at once.
    Span { guest: 1 << 46, len: 1 << 45, user: 1 << 46, offset: 0 },
];

impl Span {
    pub(super) fn any(is_odd: bool, random: &mut Random) -> Self {
        if is_odd { random.pick(&OTHERS) } else { random.pick(&GOOD) }
    }

    /// Four numbers, as SET_MEM_TABLE has them.
    pub(super) fn bytes(self) -> Vec<u8> {
        longs(&[self.guest, self.len, self.user, self.offset])
    }

    /// The payload of ADD_MEM_REG and REM_MEM_REG.
    pub(super) fn single(self) -> Vec<u8> {
        [longs(&[0]), self.bytes()].concat()
    }

    /// Bytes of a file that holds it.
    pub(super) fn file(self) -> u64 {
        self.offset.checked_add(self.len).unwrap_or(LEN)
    }
}

/// The payload of SET_VRING_ADDR for the queue `index`, which has a place of its own in memory,
/// so that nothing which the device writes there can be taken for an available index.
pub(super) fn ring(index: u32, is_odd: bool, random: &mut Random) -> Vec<u8> {
    // The first two regions, one that is perhaps not there, and nowhere.
    let start = random.pick(&[USER, USER, USER, USER, USER + LEN, 0x1000_0000]);
    let start = start + 0x1_0000 * u64::from(index & 1);
    let mut parts = [start, start + 0x4000, start + 0x8000];
    let mut flags = random.pick(&[0, 0, 1]);
    if is_odd && random.one_in(2) {
        parts[random.below(3)] += random.pick(&[1, 2, 4, 8, 16]);
    } else if is_odd {
        flags = 2;
    }
    let log = if flags == 1 { 0x8000 } else { 0 };
    let [descriptors, available, used] = parts;
    [words(&[index, flags]), longs(&[descriptors, used, available, log])].concat()
}

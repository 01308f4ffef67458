// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a queue has to know of an operation when it is done, in the number that goes with it.

/// An operation of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// A read of the disk from this sector on, less than 2^55.
    Read { sector: u64 },
    /// A write to the disk from this sector on, less than 2^55, and whether it has to be on stable
    /// storage before it is completed.
    Write { sector: u64, durable: bool },
    /// A flush.
    Flush,
    /// A range of the request in this slot.
    Range { slot: u32 },
}

/// How far the kind is from the number's end, in bits.
const KIND: u32 = 56;
const REST: u64 = (1 << KIND) - 1;

impl Tag {
    #[inline]
    pub(super) fn pack(self) -> u64 {
        match self {
            Self::Read { sector } => sector & REST,
            Self::Write { sector, durable: false } => 1 << KIND | sector & REST,
            Self::Write { sector, durable: true } => 2 << KIND | sector & REST,
            Self::Flush => 3 << KIND,
            Self::Range { slot } => 4 << KIND | u64::from(slot),
        }
    }

    #[inline]
    pub(super) fn unpack(tag: u64) -> Self {
        let sector = tag & REST;
        match tag >> KIND {
            0 => Self::Read { sector },
            1 => Self::Write { sector, durable: false },
            2 => Self::Write { sector, durable: true },
            3 => Self::Flush,
            // Only what `pack` made comes back.
            _ => Self::Range { slot: u32::try_from(sector).unwrap_or(u32::MAX) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_that_was_packed_is_the_same() {
        let last = (1 << 55) - 1;
        for tag in [
            Tag::Read { sector: 0 },
            Tag::Read { sector: last },
            Tag::Write { sector: 0, durable: false },
            Tag::Write { sector: last, durable: false },
            Tag::Write { sector: 0, durable: true },
            Tag::Write { sector: last, durable: true },
            Tag::Flush,
            Tag::Range { slot: 0 },
            Tag::Range { slot: u32::MAX },
        ] {
            assert_eq!(Tag::unpack(tag.pack()), tag);
        }
    }
}

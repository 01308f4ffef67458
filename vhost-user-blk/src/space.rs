// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The config space: what a driver can read about the disk without a request.
//!
//! Front ends read between 57 and 96 bytes of it, by the age of their own `virtio_blk_config`;
//! fields of features that are not offered, and all beyond the end, are zeroes.

use crate::disk::Limits;
use crate::request::SECTOR;
use crate::segments::{MAX_DISCARD, MAX_WRITE_ZEROES};

/// The length of `virtio_blk_config` in bytes (virtio 1.3, section 5.2.4).
const LEN: usize = 96;

// Where the fields begin, in bytes (virtio 1.3, section 5.2.4). They are little-endian.
const CAPACITY: usize = 0;
const SEG_MAX: usize = 12;
const BLK_SIZE: usize = 20;
const PHYSICAL_BLOCK_EXP: usize = 24;
const ALIGNMENT_OFFSET: usize = 25;
const MIN_IO_SIZE: usize = 26;
const OPT_IO_SIZE: usize = 28;
pub(crate) const WRITEBACK: u32 = 32;
const NUM_QUEUES: usize = 34;
const MAX_DISCARD_SECTORS: usize = 36;
const MAX_DISCARD_SEG: usize = 40;
const DISCARD_SECTOR_ALIGNMENT: usize = 44;
const MAX_WRITE_ZEROES_SECTORS: usize = 48;
const MAX_WRITE_ZEROES_SEG: usize = 52;
const WRITE_ZEROES_MAY_UNMAP: usize = 56;

/// What the config space says beside the capacity and the cache's mode, which may change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    /// How many pieces the data of one request may have.
    pub(crate) seg_max: u32,
    /// In which units the disk likes to be asked.
    pub(crate) limits: Limits,
    /// How many virtqueues a driver should use.
    pub(crate) num_queues: u16,
    /// Whether there is DISCARD.
    pub(crate) discard: bool,
    /// Whether there is WRITE_ZEROES.
    pub(crate) write_zeroes: bool,
}

/// The bytes of the config space. Capacity and writeback are 0 until they are said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConfigSpace([u8; LEN]);

impl ConfigSpace {
    /// The config space that says this.
    pub(crate) fn new(fields: &Fields) -> Self {
        let Fields { seg_max, limits, num_queues, discard, write_zeroes } = *fields;
        let block_size = limits.block_size.max(SECTOR);
        let blocks = |bytes: u32| bytes / block_size;
        let physical = blocks(limits.physical_block_size).max(1);
        let mut space = Self([0; LEN]);
        space.put(SEG_MAX, seg_max.to_le_bytes());
        space.put(BLK_SIZE, limits.block_size.to_le_bytes());
        // At most 31, the logarithm of a u32.
        space.put(PHYSICAL_BLOCK_EXP, [u8::try_from(physical.ilog2()).unwrap_or(0)]);
        let alignment_offset = u8::try_from(blocks(limits.alignment_offset)).unwrap_or(0);
        space.put(ALIGNMENT_OFFSET, [alignment_offset]);
        // What does not fit is not said.
        let min_io = u16::try_from(blocks(limits.min_io).max(1));
        let min_io = min_io.or(u16::try_from(physical)).unwrap_or(1);
        space.put(MIN_IO_SIZE, min_io.to_le_bytes());
        space.put(OPT_IO_SIZE, blocks(limits.opt_io).to_le_bytes());
        space.put(NUM_QUEUES, num_queues.to_le_bytes());
        if discard {
            let alignment = (limits.discard_granularity / SECTOR).max(1);
            space.put(MAX_DISCARD_SECTORS, MAX_DISCARD.sectors.to_le_bytes());
            space.put(MAX_DISCARD_SEG, MAX_DISCARD.segments.to_le_bytes());
            space.put(DISCARD_SECTOR_ALIGNMENT, alignment.to_le_bytes());
        }
        if write_zeroes {
            space.put(MAX_WRITE_ZEROES_SECTORS, MAX_WRITE_ZEROES.sectors.to_le_bytes());
            space.put(MAX_WRITE_ZEROES_SEG, MAX_WRITE_ZEROES.segments.to_le_bytes());
            space.put(WRITE_ZEROES_MAY_UNMAP, [u8::from(discard)]);
        }
        space
    }

    /// The same with this capacity, in sectors of 512 bytes.
    pub(crate) fn with_capacity(mut self, sectors: u64) -> Self {
        self.put(CAPACITY, sectors.to_le_bytes());
        self
    }

    /// The same with a cache that FLUSH empties, or with one that each write goes through.
    pub(crate) fn with_writeback(mut self, writeback: bool) -> Self {
        self.put(WRITEBACK as usize, [u8::from(writeback)]);
        self
    }

    /// Copies the bytes from `offset` on to `out`: GET_CONFIG.
    pub(crate) fn read(&self, offset: u32, out: &mut [u8]) {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let there = self.0.get(from..).unwrap_or_default();
        let len = there.len().min(out.len());
        let (said, beyond) = out.split_at_mut(len);
        said.copy_from_slice(&there[..len]);
        beyond.fill(0);
    }

    fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        self.0[at..at + N].copy_from_slice(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        block_size: 512,
        physical_block_size: 4096,
        alignment_offset: 3584,
        min_io: 65536,
        opt_io: 1 << 20,
        discard_granularity: 8192,
    };

    const FIELDS: Fields = Fields {
        seg_max: 126,
        limits: LIMITS,
        num_queues: 0x0203,
        discard: true,
        write_zeroes: true,
    };

    fn bytes(offset: u32, len: usize) -> Vec<u8> {
        let mut out = vec![0xee; len];
        let space = ConfigSpace::new(&FIELDS).with_capacity(0x0102_0304_0506_0708);
        space.with_writeback(true).read(offset, &mut out);
        out
    }

    #[test]
    fn fields_are_at_the_offsets_of_the_specification() {
        let expected: [(u32, &[u8]); 18] = [
            (0, &[8, 7, 6, 5, 4, 3, 2, 1]), // capacity
            (8, &[0; 4]),                   // size_max
            (12, &[126, 0, 0, 0]),          // seg_max
            (16, &[0; 4]),                  // geometry
            (20, &[0, 2, 0, 0]),            // blk_size
            (24, &[3]),                     // topology.physical_block_exp
            (25, &[7]),                     // topology.alignment_offset
            (26, &[128, 0]),                // topology.min_io_size
            (28, &[0, 8, 0, 0]),            // topology.opt_io_size
            (32, &[1]),                     // writeback
            (34, &[3, 2]),                  // num_queues
            (36, &[0, 0, 0x40, 0]),         // max_discard_sectors
            (40, &[32, 0, 0, 0]),           // max_discard_seg
            (44, &[16, 0, 0, 0]),           // discard_sector_alignment
            (48, &[0, 0, 1, 0]),            // max_write_zeroes_sectors
            (52, &[32, 0, 0, 0]),           // max_write_zeroes_seg
            (56, &[1]),                     // write_zeroes_may_unmap
            (57, &[0; 39]),                 // of features that are not offered
        ];
        for (offset, field) in expected {
            assert_eq!(bytes(offset, field.len()), field, "at {offset}");
        }
    }

    #[test]
    fn capacity_that_is_said_again_replaces_the_one_before_and_nothing_else() {
        let before = ConfigSpace::new(&FIELDS).with_capacity(u64::MAX).with_writeback(true);
        let mut out = [0xee; 96];
        before.with_capacity(7).read(0, &mut out);
        assert_eq!(out[..8], [7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(out[8..], bytes(8, 88));
    }

    #[test]
    fn read_across_the_end_is_padded_with_zeroes() {
        assert_eq!(bytes(56, 4096 - 56)[..1], [1]);
        assert!(bytes(56, 4096 - 56)[1..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn read_beyond_the_end_is_zeroes() {
        for offset in [96, 97, 4096, u32::MAX] {
            assert_eq!(bytes(offset, 3), [0; 3], "at {offset}");
        }
    }

    #[test]
    fn read_byte_by_byte_is_the_whole() {
        let single: Vec<u8> = (0..100).flat_map(|offset| bytes(offset, 1)).collect();
        assert_eq!(single, bytes(0, 100));
    }

    #[test]
    fn limits_of_one_block_have_exponent_zero() {
        let limits = Limits {
            block_size: 4096,
            physical_block_size: 4096,
            alignment_offset: 0,
            min_io: 4096,
            opt_io: 0,
            discard_granularity: 4096,
        };
        let mut topology = [0xee; 8];
        ConfigSpace::new(&Fields { limits, ..FIELDS }).read(24, &mut topology);
        assert_eq!(topology, [0, 0, 1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn least_io_that_does_not_fit_is_the_physical_block() {
        let limits = Limits { min_io: 64 << 20, ..LIMITS };
        let mut said = [0xee; 2];
        ConfigSpace::new(&Fields { limits, ..FIELDS }).read(26, &mut said);
        assert_eq!(said, [8, 0]);
    }

    #[test]
    fn cache_that_is_written_through_is_said() {
        let mut said = [0xee; 1];
        ConfigSpace::new(&FIELDS).with_writeback(false).read(32, &mut said);
        assert_eq!(said, [0]);
    }

    #[test]
    fn limits_of_what_is_not_offered_are_zeroes() {
        let mut said = [0xee; 24];
        let fields = Fields { discard: false, write_zeroes: false, ..FIELDS };
        ConfigSpace::new(&fields).read(36, &mut said);
        assert_eq!(said, [0; 24]);
        let fields = Fields { discard: false, ..FIELDS };
        ConfigSpace::new(&fields).read(36, &mut said);
        assert_eq!(said[..12], [0; 12], "of discard");
        assert_eq!(said[12..20], [0, 0, 1, 0, 32, 0, 0, 0], "of write zeroes");
        assert_eq!(said[20..], [0; 4], "nothing is unmapped");
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The config space: what a driver can read about the disk without a request.
//!
//! Front ends read between 57 and 96 bytes of it, by the age of their own `virtio_blk_config`;
//! fields of features that are not offered, and all beyond the end, are zeroes.

/// The length of `virtio_blk_config` in bytes (virtio 1.3, section 5.2.4).
const LEN: usize = 96;

// Where the fields begin, in bytes (virtio 1.3, section 5.2.4). They are little-endian.
const CAPACITY: usize = 0;
const SEG_MAX: usize = 12;
const BLK_SIZE: usize = 20;
const PHYSICAL_BLOCK_EXP: usize = 24;
const MIN_IO_SIZE: usize = 26;
const WRITEBACK: usize = 32;
const NUM_QUEUES: usize = 34;

/// What the config space says beside the capacity, which may change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    /// How many pieces the data of one request may have.
    pub(crate) seg_max: u32,
    /// The block size, in bytes: a power of two.
    pub(crate) block_size: u32,
    /// What the host writes in one go, in bytes: a power of two, at least the block size.
    pub(crate) physical_block_size: u32,
    /// How many virtqueues a driver should use.
    pub(crate) num_queues: u16,
}

/// The bytes of the config space. The capacity is 0 until it is said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConfigSpace([u8; LEN]);

impl ConfigSpace {
    /// The config space that says this.
    pub(crate) fn new(fields: &Fields) -> Self {
        let Fields { seg_max, block_size, physical_block_size, num_queues } = *fields;
        let blocks_in_physical = (physical_block_size / block_size.max(1)).max(1);
        let mut space = Self([0; LEN]);
        space.put(SEG_MAX, seg_max.to_le_bytes());
        space.put(BLK_SIZE, block_size.to_le_bytes());
        // At most 31, the logarithm of a u32.
        let exponent = u8::try_from(blocks_in_physical.ilog2()).unwrap_or(0);
        space.put(PHYSICAL_BLOCK_EXP, [exponent]);
        let min_io_size = u16::try_from(blocks_in_physical).unwrap_or(1);
        space.put(MIN_IO_SIZE, min_io_size.to_le_bytes());
        // There is a cache that FLUSH empties: the host's.
        space.put(WRITEBACK, [1]);
        space.put(NUM_QUEUES, num_queues.to_le_bytes());
        space
    }

    /// The same with this capacity, in sectors of 512 bytes.
    pub(crate) fn with_capacity(mut self, sectors: u64) -> Self {
        self.put(CAPACITY, sectors.to_le_bytes());
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

    const FIELDS: Fields =
        Fields { seg_max: 126, block_size: 512, physical_block_size: 4096, num_queues: 0x0203 };

    fn bytes(offset: u32, len: usize) -> Vec<u8> {
        let mut out = vec![0xee; len];
        ConfigSpace::new(&FIELDS).with_capacity(0x0102_0304_0506_0708).read(offset, &mut out);
        out
    }

    #[test]
    fn fields_are_at_the_offsets_of_the_specification() {
        let expected: [(u32, &[u8]); 12] = [
            (0, &[8, 7, 6, 5, 4, 3, 2, 1]), // capacity
            (8, &[0; 4]),                   // size_max
            (12, &[126, 0, 0, 0]),          // seg_max
            (16, &[0; 4]),                  // geometry
            (20, &[0, 2, 0, 0]),            // blk_size
            (24, &[3]),                     // topology.physical_block_exp
            (25, &[0]),                     // topology.alignment_offset
            (26, &[8, 0]),                  // topology.min_io_size
            (28, &[0; 4]),                  // topology.opt_io_size
            (32, &[1]),                     // writeback
            (34, &[3, 2]),                  // num_queues
            (36, &[0; 60]),                 // of features that are not offered
        ];
        for (offset, field) in expected {
            assert_eq!(bytes(offset, field.len()), field, "at {offset}");
        }
    }

    #[test]
    fn capacity_that_is_said_again_replaces_the_one_before_and_nothing_else() {
        let before = ConfigSpace::new(&FIELDS).with_capacity(u64::MAX);
        let mut out = [0xee; 96];
        before.with_capacity(7).read(0, &mut out);
        assert_eq!(out[..8], [7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(out[8..], bytes(8, 88));
    }

    #[test]
    fn read_across_the_end_is_padded_with_zeroes() {
        assert_eq!(bytes(34, 4096 - 34)[..2], [3, 2]);
        assert!(bytes(34, 4096 - 34)[2..].iter().all(|&byte| byte == 0));
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
    fn physical_block_of_one_block_has_exponent_zero() {
        let fields = Fields { block_size: 4096, physical_block_size: 4096, ..FIELDS };
        let mut topology = [0xee; 8];
        ConfigSpace::new(&fields).read(24, &mut topology);
        assert_eq!(topology, [0, 0, 1, 0, 0, 0, 0, 0]);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The config space of a block device (virtio 1.3, section 5.2.4).

use crate::frontend::{Ack, Frontend};

/// Where the driver writes whether the device has a write-back cache.
pub const WRITEBACK_AT: u32 = 32;

/// The fields up to `write_zeroes_may_unmap`, without the geometry of cylinders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlkConfig {
    /// In sectors of 512 bytes.
    pub capacity: u64,
    /// The longest segment of a request, in bytes.
    pub size_max: u32,
    /// The most segments of a request.
    pub seg_max: u32,
    /// In bytes.
    pub blk_size: u32,
    /// The physical block is so many times a block: a power of two, by its exponent.
    pub physical_block_exp: u8,
    /// The first block that a physical block begins with.
    pub alignment_offset: u8,
    /// In blocks.
    pub min_io_size: u16,
    /// In blocks.
    pub opt_io_size: u32,
    /// 1 with a write-back cache, 0 if a write that has ended is on stable storage.
    pub writeback: u8,
    /// The number of queues.
    pub num_queues: u16,
    /// The most sectors of an extent to be discarded.
    pub max_discard_sectors: u32,
    /// The most extents in a request.
    pub max_discard_seg: u32,
    /// In sectors.
    pub discard_sector_alignment: u32,
    /// The most sectors of an extent of zeroes.
    pub max_write_zeroes_sectors: u32,
    /// The most extents in a request.
    pub max_write_zeroes_seg: u32,
    /// Whether a write of zeroes may give space back.
    pub write_zeroes_may_unmap: u8,
}

impl BlkConfig {
    /// Its length, in bytes.
    pub const SIZE: u32 = 60;

    fn of(bytes: &[u8]) -> Self {
        let [long_at, word_at] = [8, 4].map(|len| move |at: usize| &bytes[at..at + len]);
        let long = |at| u64::from_le_bytes(long_at(at).try_into().expect("eight bytes"));
        let word = |at| u32::from_le_bytes(word_at(at).try_into().expect("four bytes"));
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        Self {
            capacity: long(0),
            size_max: word(8),
            seg_max: word(12),
            blk_size: word(20),
            physical_block_exp: bytes[24],
            alignment_offset: bytes[25],
            min_io_size: half(26),
            opt_io_size: word(28),
            writeback: bytes[32],
            num_queues: half(34),
            max_discard_sectors: word(36),
            max_discard_seg: word(40),
            discard_sector_alignment: word(44),
            max_write_zeroes_sectors: word(48),
            max_write_zeroes_seg: word(52),
            write_zeroes_may_unmap: bytes[56],
        }
    }
}

impl Frontend {
    /// The config space of a block device.
    #[track_caller]
    pub fn blk_config(&self) -> BlkConfig {
        BlkConfig::of(&self.get_config(0, BlkConfig::SIZE).expect("a config space"))
    }

    /// Has the device with its write-back cache or without, as a driver that acked CONFIG_WCE may.
    #[track_caller]
    pub fn set_writeback(&self, writeback: u8) -> Ack {
        self.set_config(WRITEBACK_AT, &[writeback])
    }
}

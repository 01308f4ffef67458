// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a DISCARD or a WRITE_ZEROES is about: a few ranges of the disk (virtio 1.3, section 5.2.6).
//!
//! Total over whatever a driver can write: no panic, no I/O, no memory by a driver's number.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use virtio_bindings::virtio_blk::VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;

use crate::request::{Act, Geometry, RequestError, SECTOR};

/// The length of a segment, in bytes: first sector, number of sectors, flags.
pub const SEGMENT_LEN: usize = 16;

/// The most segments of a request.
pub const MAX_SEGMENTS: usize = 32;

/// How much one request may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// In how many segments.
    pub segments: u32,
    /// How many sectors in each.
    pub sectors: u32,
}

/// What a DISCARD may ask for: 2 GiB in a segment, which the host forgets in a moment.
pub const MAX_DISCARD: Most = Most { segments: 32, sectors: 1 << 22 };

/// What a WRITE_ZEROES may ask for: 32 MiB in a segment, which the host may have to write.
pub const MAX_WRITE_ZEROES: Most = Most { segments: 32, sectors: 1 << 16 };

/// Sectors of the disk that a DISCARD or a WRITE_ZEROES is about. They are whole blocks within the
/// disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Where on the disk, in bytes.
    pub offset: u64,
    /// How much, in bytes.
    pub len: u64,
    /// Whether the host may have the room back: a flag of WRITE_ZEROES.
    pub unmap: bool,
}

/// The segments of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    segments: [Segment; MAX_SEGMENTS],
    count: usize,
}

impl Segments {
    /// The segments in `bytes`, which are the data of a request for `act`: DISCARD or WRITE_ZEROES.
    ///
    /// # Errors
    /// They are none, or too many, or one of them is not one that the disk can be asked for.
    pub fn parse(bytes: &[u8], act: Act, geometry: &Geometry) -> Result<Self, RequestError> {
        let mut segments = Self { segments: Default::default(), count: 0 };
        let (chunks, rest) = bytes.as_chunks::<SEGMENT_LEN>();
        if chunks.is_empty() || chunks.len() > MAX_SEGMENTS || !rest.is_empty() {
            return Err(RequestError::Segments { act, len: bytes.len() });
        }
        for (segment, chunk) in segments.segments.iter_mut().zip(chunks) {
            *segment = Segment::parse(*chunk, act, geometry)?;
        }
        segments.count = chunks.len();
        Ok(segments)
    }

    /// The segment of this number, from 0 on, or the first behind it that is not empty; with the
    /// number of that one.
    pub fn from(&self, number: usize) -> Option<(usize, Segment)> {
        let segments = self.segments.iter().take(self.count).copied().enumerate();
        segments.skip(number).find(|(_, segment)| segment.len != 0)
    }
}

impl Segment {
    fn parse(
        bytes: [u8; SEGMENT_LEN],
        act: Act,
        geometry: &Geometry,
    ) -> Result<Self, RequestError> {
        let [s0, s1, s2, s3, s4, s5, s6, s7, n0, n1, n2, n3, f0, f1, f2, f3] = bytes;
        let sector = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
        let sectors = u32::from_le_bytes([n0, n1, n2, n3]);
        let flags = u32::from_le_bytes([f0, f1, f2, f3]);
        let (known, most) = match act {
            Act::WriteZeroes => (VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP, MAX_WRITE_ZEROES.sectors),
            Act::Discard | Act::Read | Act::Write => (0, MAX_DISCARD.sectors),
        };
        if flags & !known != 0 {
            return Err(RequestError::Flags { act, flags });
        }
        if sectors > most {
            return Err(RequestError::Long { act, sectors, most });
        }
        let len = u64::from(sectors).saturating_mul(u64::from(SECTOR));
        let offset = geometry.place(act, sector, len, geometry.block_size)?;
        Ok(Self { offset, len, unmap: flags != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: Geometry = Geometry {
        sectors: 1 << 32,
        block_size: 512,
        read_only: false,
        discard: true,
        write_zeroes: true,
    };
    const BLOCKS_OF_4096: Geometry = Geometry { block_size: 4096, ..DISK };

    /// A segment as a driver lays it out.
    fn segment(sector: u64, sectors: u32, flags: u32) -> Vec<u8> {
        let mut bytes = sector.to_le_bytes().to_vec();
        bytes.extend(sectors.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes
    }

    fn discard(bytes: &[u8]) -> Result<Segments, RequestError> {
        Segments::parse(bytes, Act::Discard, &DISK)
    }

    fn write_zeroes(bytes: &[u8]) -> Result<Segments, RequestError> {
        Segments::parse(bytes, Act::WriteZeroes, &DISK)
    }

    /// The message and the status byte of what `result` refuses.
    fn refusal(result: Result<Segments, RequestError>) -> (String, u8) {
        let error = result.unwrap_err();
        (error.to_string(), error.status().byte())
    }

    fn io_error(message: &str) -> (String, u8) {
        (message.to_owned(), 1)
    }

    #[test]
    fn fields_are_little_endian_at_their_offsets() {
        let bytes = *b"\x08\x07\x06\x05\0\0\0\0\x03\x02\x01\0\x01\0\0\0";
        let parsed = Segment::parse(bytes, Act::WriteZeroes, &DISK).unwrap_err();
        let message = "write zeroes of 66051 sectors, more than 65536";
        assert_eq!(parsed.to_string(), message);
        let bytes = *b"\x08\x07\x06\x05\0\0\0\0\x03\x02\0\0\x01\0\0\0";
        let parsed = Segment::parse(bytes, Act::WriteZeroes, &DISK).unwrap();
        let expected = Segment { offset: 0x0506_0708 * 512, len: 0x0203 * 512, unmap: true };
        assert_eq!(parsed, expected);
    }

    #[test]
    fn segments_come_in_their_order_without_the_empty_ones() {
        let bytes = [segment(8, 2, 0), segment(3, 0, 0), segment(0, 1, 0)].concat();
        let segments = discard(&bytes).unwrap();
        let first = Segment { offset: 4096, len: 1024, unmap: false };
        let last = Segment { offset: 0, len: 512, unmap: false };
        assert_eq!(segments.from(0), Some((0, first)));
        assert_eq!(segments.from(1), Some((2, last)));
        assert_eq!(segments.from(3), None);
    }

    #[test]
    fn segments_up_to_the_most_parse() {
        let bytes = segment(0, 1 << 22, 0).repeat(MAX_SEGMENTS);
        assert!(discard(&bytes).unwrap().from(MAX_SEGMENTS - 1).is_some());
        assert!(write_zeroes(&segment(0, 1 << 16, 1)).is_ok());
    }

    #[test]
    fn no_segment_or_too_many_or_half_of_one_is_refused() {
        for len in [0, 1, 15, 17, 33 * 16] {
            let message = format!("discard: {len} bytes are not 1 to 32 segments of 16");
            assert_eq!(refusal(discard(&vec![0; len])), io_error(&message));
        }
    }

    #[test]
    fn more_sectors_than_the_most_are_refused() {
        let message = "discard of 4194305 sectors, more than 4194304";
        assert_eq!(refusal(discard(&segment(0, (1 << 22) + 1, 0))), io_error(message));
        let message = "write zeroes of 4294967295 sectors, more than 65536";
        assert_eq!(refusal(write_zeroes(&segment(0, u32::MAX, 0))), io_error(message));
    }

    #[test]
    fn flags_that_are_not_known_are_unsupported() {
        for flags in [1, 2, u32::MAX] {
            let message = format!("discard with flags {flags:#x} is not supported");
            assert_eq!(refusal(discard(&segment(0, 1, flags))), (message, 2));
        }
        for flags in [2, 3, u32::MAX] {
            let message = format!("write zeroes with flags {flags:#x} is not supported");
            assert_eq!(refusal(write_zeroes(&segment(0, 1, flags))), (message, 2));
        }
    }

    #[test]
    fn segment_past_the_end_is_refused_whatever_is_before_it() {
        let bytes = [segment(0, 1, 0), segment(1 << 32, 1, 0)].concat();
        let message = "discard sector 4294967296 + 1 past end 4294967296";
        assert_eq!(refusal(discard(&bytes)), io_error(message));
        let message = "write zeroes sector 18446744073709551615 + 1 past end 4294967296";
        assert_eq!(refusal(write_zeroes(&segment(u64::MAX, 1, 0))), io_error(message));
    }

    #[test]
    fn part_of_a_block_is_refused() {
        let parse = |bytes: &[u8]| Segments::parse(bytes, Act::Discard, &BLOCKS_OF_4096);
        let message = "discard 512 bytes: not a multiple of 4096";
        assert_eq!(refusal(parse(&segment(0, 1, 0))), io_error(message));
        let message = "discard sector 7: within a block of 4096 bytes";
        assert_eq!(refusal(parse(&segment(7, 8, 0))), io_error(message));
        assert!(parse(&segment(8, 8, 0)).is_ok());
    }
}

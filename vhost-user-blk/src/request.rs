// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a driver asks for: bytes of a descriptor chain to a [`Request`], or to the reason why not.
//!
//! Total over whatever a driver can write: no panic, no I/O, no memory by a driver's number.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

use std::fmt;

use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_IN,
    VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_WRITE_ZEROES,
};

use crate::segments::{MAX_SEGMENTS, SEGMENT_LEN};

/// The length of the header that begins every request, in bytes (virtio 1.3, section 5.2.6).
pub const HEADER_LEN: usize = 16;

/// The length of the status that ends every request, in bytes (virtio 1.3, section 5.2.6).
pub const STATUS_LEN: usize = 1;

/// The unit of the protocol, in bytes, whatever the block size (virtio 1.3, section 5.2.4).
pub const SECTOR: u32 = 512;

/// What a driver asks for. It lies within the disk, and the disk may do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// VIRTIO_BLK_T_IN: reads `len` bytes at `offset` (bytes) of the disk to the device-writable
    /// part, from its start.
    Read {
        /// Where on the disk, in bytes.
        offset: u64,
        /// How much, in bytes.
        len: usize,
    },
    /// VIRTIO_BLK_T_OUT: writes `len` bytes of the device-readable part, from [`HEADER_LEN`] on,
    /// at `offset` (bytes) of the disk.
    Write {
        /// Where on the disk, in bytes.
        offset: u64,
        /// How much, in bytes.
        len: usize,
    },
    /// VIRTIO_BLK_T_FLUSH: what was written before is to be on stable storage.
    Flush,
    /// VIRTIO_BLK_T_DISCARD: the driver no longer needs what is there. The device-readable part has
    /// `len` bytes of [segments](crate::segments) from [`HEADER_LEN`] on.
    Discard {
        /// The length of the segments, in bytes.
        len: usize,
    },
    /// VIRTIO_BLK_T_WRITE_ZEROES: there are to be zeroes. The device-readable part has `len` bytes
    /// of [segments](crate::segments) from [`HEADER_LEN`] on.
    WriteZeroes {
        /// The length of the segments, in bytes.
        len: usize,
    },
    /// VIRTIO_BLK_T_GET_ID: the disk's serial, as much of it as fits in `len` bytes.
    GetId {
        /// The room that the driver gives, in bytes.
        len: usize,
    },
}

/// A descriptor chain, as far as it says what is asked for.
///
/// How the bytes are spread over descriptors says nothing (virtio 1.3, section 2.7.4), so
/// descriptors do not appear here.
#[derive(Clone, Copy, Debug)]
pub struct Outline {
    /// The first bytes of the device-readable part; `None` if it is shorter.
    pub header: Option<[u8; HEADER_LEN]>,
    /// The length of the device-readable part, in bytes.
    pub readable: usize,
    /// The length of the device-writable part, in bytes; the last one takes the status.
    pub writable: usize,
}

/// What a disk can be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// The disk's length, in sectors of 512 bytes.
    pub sectors: u64,
    /// The unit of a write, in bytes: a multiple of [`SECTOR`].
    pub block_size: u32,
    /// Whether writes are refused.
    pub read_only: bool,
    /// Whether there is DISCARD: offered and acked.
    pub discard: bool,
    /// Whether there is WRITE_ZEROES: offered and acked.
    pub write_zeroes: bool,
}

/// Why a request is not one that the disk can be asked for: the driver's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The device-readable part ends within the header.
    #[error("request header of {readable} bytes, not {HEADER_LEN}")]
    Header {
        /// The length of the device-readable part, in bytes.
        readable: usize,
    },
    /// There is no device-writable byte, so that not even this error can be said.
    #[error("request without a byte for its status")]
    NoStatus,
    /// The request type is unknown, or of a feature that was not offered.
    #[error("request type {kind} is not supported")]
    Unsupported {
        /// The type, as the driver wrote it.
        kind: u32,
    },
    /// The data are not a whole number of units.
    #[error("{act} {len} bytes: not a multiple of {unit}")]
    Length {
        /// What was asked for.
        act: Act,
        /// The length of the data, in bytes.
        len: u64,
        /// The unit, in bytes.
        unit: u32,
    },
    /// The data would begin within a block.
    #[error("{act} sector {sector}: within a block of {unit} bytes")]
    Misaligned {
        /// What was asked for.
        act: Act,
        /// The first sector.
        sector: u64,
        /// The unit, in bytes.
        unit: u32,
    },
    /// The data reach beyond the end of the disk.
    #[error("{act} sector {sector} + {sectors} past end {end}")]
    PastEnd {
        /// What was asked for.
        act: Act,
        /// The first sector.
        sector: u64,
        /// How many sectors.
        sectors: u64,
        /// The disk's length, in sectors.
        end: u64,
    },
    /// What should be segments is none, or more than there may be.
    #[error("{act}: {len} bytes are not 1 to {MAX_SEGMENTS} segments of {SEGMENT_LEN}")]
    Segments {
        /// What was asked for.
        act: Act,
        /// The length of the data, in bytes.
        len: usize,
    },
    /// A segment is longer than the config space allows.
    #[error("{act} of {sectors} sectors, more than {most}")]
    Long {
        /// What was asked for.
        act: Act,
        /// How many sectors.
        sectors: u32,
        /// How many there may be.
        most: u32,
    },
    /// A segment has flags that such a request does not have.
    #[error("{act} with flags {flags:#x} is not supported")]
    Flags {
        /// What was asked for.
        act: Act,
        /// The flags, as the driver wrote them.
        flags: u32,
    },
    /// A write to a read-only disk.
    #[error("write sector {sector} of a read-only disk")]
    ReadOnly {
        /// The first sector.
        sector: u64,
    },
}

/// What is done with data; for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// From the disk to the driver.
    Read,
    /// From the driver to the disk.
    Write,
    /// Forgotten on the disk.
    Discard,
    /// Made zeroes on the disk.
    WriteZeroes,
}

/// How a request ended: its last device-writable byte (virtio 1.3, section 5.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// VIRTIO_BLK_S_OK.
    Ok = 0,
    /// VIRTIO_BLK_S_IOERR: an error of the device or of the driver.
    IoErr = 1,
    /// VIRTIO_BLK_S_UNSUPP: the device does not know such a request.
    Unsupported = 2,
}

impl Request {
    /// What the chain asks of a disk with this geometry.
    ///
    /// Bytes that the request has no use for, such as data behind the header of a read, are left
    /// alone, as other devices do.
    ///
    /// # Errors
    /// The chain has no room for a header or a status, or asks for what the disk cannot do.
    #[inline]
    pub fn parse(chain: &Outline, geometry: &Geometry) -> Result<Self, RequestError> {
        let no_header = RequestError::Header { readable: chain.readable };
        let header = chain.header.ok_or(no_header)?;
        let data = chain.readable.checked_sub(HEADER_LEN).ok_or(no_header)?;
        let room = chain.writable.checked_sub(STATUS_LEN).ok_or(RequestError::NoStatus)?;
        let (kind, sector) = split_header(header);
        match kind {
            VIRTIO_BLK_T_IN => {
                let offset = geometry.place(Act::Read, sector, room as u64, SECTOR)?;
                Ok(Self::Read { offset, len: room })
            }
            VIRTIO_BLK_T_OUT if geometry.read_only => Err(RequestError::ReadOnly { sector }),
            VIRTIO_BLK_T_OUT => {
                // A part of a block would have to be read, changed and written back, and two
                // queues that do so at once lose one of the changes.
                let len = data as u64;
                let offset = geometry.place(Act::Write, sector, len, geometry.block_size)?;
                Ok(Self::Write { offset, len: data })
            }
            VIRTIO_BLK_T_FLUSH => Ok(Self::Flush),
            VIRTIO_BLK_T_GET_ID => Ok(Self::GetId { len: room }),
            VIRTIO_BLK_T_DISCARD if geometry.discard => Ok(Self::Discard { len: data }),
            VIRTIO_BLK_T_WRITE_ZEROES if geometry.write_zeroes => {
                Ok(Self::WriteZeroes { len: data })
            }
            kind => Err(RequestError::Unsupported { kind }),
        }
    }
}

/// The request type and the first sector, which are little-endian (virtio 1.3, section 5.2.6).
fn split_header(header: [u8; HEADER_LEN]) -> (u32, u64) {
    let [t0, t1, t2, t3, _, _, _, _, s0, s1, s2, s3, s4, s5, s6, s7] = header;
    let kind = u32::from_le_bytes([t0, t1, t2, t3]);
    let sector = u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]);
    (kind, sector)
}

impl Geometry {
    /// Where on the disk `len` bytes from `sector` on begin, in bytes, if they are there.
    #[inline]
    pub(crate) fn place(
        &self,
        act: Act,
        sector: u64,
        len: u64,
        unit: u32,
    ) -> Result<u64, RequestError> {
        let sectors = len.div_ceil(u64::from(SECTOR));
        if !len.is_multiple_of(u64::from(unit)) {
            return Err(RequestError::Length { act, len, unit });
        }
        let past_end = RequestError::PastEnd { act, sector, sectors, end: self.sectors };
        if sector.checked_add(sectors).is_none_or(|end| end > self.sectors) {
            return Err(past_end);
        }
        let offset = sector.checked_mul(u64::from(SECTOR)).ok_or(past_end)?;
        if !offset.is_multiple_of(u64::from(unit)) {
            return Err(RequestError::Misaligned { act, sector, unit });
        }
        Ok(offset)
    }
}

impl RequestError {
    /// What the driver is told.
    pub fn status(&self) -> Status {
        match self {
            Self::Unsupported { .. } | Self::Flags { .. } => Status::Unsupported,
            Self::Header { .. }
            | Self::NoStatus
            | Self::Length { .. }
            | Self::Segments { .. }
            | Self::Long { .. }
            | Self::Misaligned { .. }
            | Self::PastEnd { .. }
            | Self::ReadOnly { .. } => Status::IoErr,
        }
    }
}

impl Status {
    /// The status as the driver reads it.
    pub const fn byte(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Discard => "discard",
            Self::WriteZeroes => "write zeroes",
        })
    }
}

#[cfg(test)]
mod tests {
    use virtio_bindings::virtio_blk::{VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_UNSUPP};

    use super::*;

    const DISK: Geometry = Geometry {
        sectors: 8,
        block_size: 512,
        read_only: false,
        discard: true,
        write_zeroes: true,
    };
    const READ_ONLY: Geometry =
        Geometry { read_only: true, discard: false, write_zeroes: false, ..DISK };
    const BLOCKS_OF_4096: Geometry = Geometry { sectors: 16, block_size: 4096, ..DISK };
    const HUGE: Geometry = Geometry { sectors: u64::MAX, ..DISK };

    /// A header as a driver lays it out: type, reserved, sector.
    fn header(kind: u32, sector: u64) -> [u8; HEADER_LEN] {
        let mut bytes = [0xee; HEADER_LEN];
        bytes[0..4].copy_from_slice(&kind.to_le_bytes());
        bytes[8..16].copy_from_slice(&sector.to_le_bytes());
        bytes
    }

    /// Parses a chain with this header, `data` bytes to read behind it and `room` to write before
    /// the status.
    fn parse(
        kind: u32,
        sector: u64,
        data: usize,
        room: usize,
        geometry: &Geometry,
    ) -> Result<Request, RequestError> {
        let header = Some(header(kind, sector));
        let chain = Outline { header, readable: HEADER_LEN + data, writable: room + STATUS_LEN };
        Request::parse(&chain, geometry)
    }

    /// The message and the status byte of what `result` refuses.
    fn refusal(result: Result<Request, RequestError>) -> (String, u8) {
        let error = result.unwrap_err();
        (error.to_string(), error.status().byte())
    }

    fn io_error(message: &str) -> (String, u8) {
        (message.to_owned(), 1)
    }

    #[test]
    fn header_fields_are_little_endian_at_their_offsets() {
        let bytes = *b"\x08\x00\x00\x00\xff\xff\xff\xff\x08\x07\x06\x05\x04\x03\x02\x01";
        assert_eq!(split_header(bytes), (8, 0x0102_0304_0506_0708));
    }

    #[test]
    fn requests_within_the_disk_parse() {
        let cases = [
            (parse(0, 0, 0, 512, &DISK), Request::Read { offset: 0, len: 512 }),
            (parse(0, 7, 0, 512, &DISK), Request::Read { offset: 3584, len: 512 }),
            (parse(0, 0, 0, 4096, &DISK), Request::Read { offset: 0, len: 4096 }),
            (parse(0, 8, 0, 0, &DISK), Request::Read { offset: 4096, len: 0 }),
            (parse(1, 1, 1024, 0, &DISK), Request::Write { offset: 512, len: 1024 }),
            (parse(4, 0, 0, 0, &DISK), Request::Flush),
            (parse(8, 0, 0, 20, &DISK), Request::GetId { len: 20 }),
            (parse(8, 0, 0, 0, &DISK), Request::GetId { len: 0 }),
            (parse(11, 0, 16, 0, &DISK), Request::Discard { len: 16 }),
            (parse(13, 0, 32, 0, &DISK), Request::WriteZeroes { len: 32 }),
        ];
        for (parsed, expected) in cases {
            assert_eq!(parsed, Ok(expected));
        }
    }

    #[test]
    fn bytes_without_a_use_are_left_alone() {
        assert_eq!(parse(0, 0, 77, 512, &DISK), Ok(Request::Read { offset: 0, len: 512 }));
        assert_eq!(parse(1, 0, 512, 77, &DISK), Ok(Request::Write { offset: 0, len: 512 }));
        assert_eq!(parse(4, 99, 77, 77, &DISK), Ok(Request::Flush));
        assert_eq!(parse(8, 99, 77, 77, &DISK), Ok(Request::GetId { len: 77 }));
    }

    #[test]
    fn chain_without_a_whole_header_is_refused() {
        for readable in 0..HEADER_LEN {
            let chain = Outline { header: None, readable, writable: 513 };
            let message = format!("request header of {readable} bytes, not 16");
            assert_eq!(refusal(Request::parse(&chain, &DISK)), io_error(&message));
        }
    }

    #[test]
    fn chain_without_a_status_byte_is_refused() {
        let chain = Outline { header: Some(header(1, 0)), readable: 528, writable: 0 };
        let message = "request without a byte for its status";
        assert_eq!(refusal(Request::parse(&chain, &DISK)), io_error(message));
    }

    #[test]
    fn types_that_are_not_offered_are_unsupported() {
        // SCSI commands, secure erase, zones, the old barrier, and no type.
        for kind in [2, 3, 5, 9, 10, 14, 15, 26, 0x8000_0001, u32::MAX] {
            let message = format!("request type {kind} is not supported");
            assert_eq!(refusal(parse(kind, 0, 512, 512, &DISK)), (message, 2));
        }
    }

    #[test]
    fn data_of_broken_sectors_are_refused() {
        let message = |act, len| format!("{act} {len} bytes: not a multiple of 512");
        for len in [1, 511, 513, 4095] {
            assert_eq!(refusal(parse(0, 0, 0, len, &DISK)), io_error(&message("read", len)));
            assert_eq!(refusal(parse(1, 0, len, 0, &DISK)), io_error(&message("write", len)));
        }
    }

    #[test]
    fn data_past_the_end_are_refused() {
        let cases = [
            (8, 512, "sector 8 + 1 past end 8"),
            (7, 1024, "sector 7 + 2 past end 8"),
            (0, 4608, "sector 0 + 9 past end 8"),
            (9, 0, "sector 9 + 0 past end 8"),
            (u64::MAX, 512, "sector 18446744073709551615 + 1 past end 8"),
            // What a shift by 9 would have made 0.
            (1 << 55, 512, "sector 36028797018963968 + 1 past end 8"),
        ];
        for (sector, len, message) in cases {
            let read = refusal(parse(0, sector, 0, len, &DISK));
            assert_eq!(read, io_error(&format!("read {message}")));
            let write = refusal(parse(1, sector, len, 0, &DISK));
            assert_eq!(write, io_error(&format!("write {message}")));
        }
    }

    #[test]
    fn offset_that_is_not_a_number_of_bytes_is_refused() {
        let message = "read sector 36028797018963968 + 1 past end 18446744073709551615";
        assert_eq!(refusal(parse(0, 1 << 55, 0, 512, &HUGE)), io_error(message));
    }

    #[test]
    fn write_to_a_read_only_disk_is_refused() {
        let message = "write sector 3 of a read-only disk";
        assert_eq!(refusal(parse(1, 3, 512, 0, &READ_ONLY)), io_error(message));
    }

    #[test]
    fn types_of_features_that_are_not_offered_are_unsupported() {
        for kind in [11, 13] {
            let message = format!("request type {kind} is not supported");
            assert_eq!(refusal(parse(kind, 0, 16, 0, &READ_ONLY)), (message, 2));
        }
    }

    #[test]
    fn read_and_flush_of_a_read_only_disk_parse() {
        let read = Request::Read { offset: 1536, len: 512 };
        assert_eq!(parse(0, 3, 0, 512, &READ_ONLY), Ok(read));
        assert_eq!(parse(4, 0, 0, 0, &READ_ONLY), Ok(Request::Flush));
    }

    #[test]
    fn write_of_whole_blocks_parses() {
        let write = Request::Write { offset: 4096, len: 4096 };
        assert_eq!(parse(1, 8, 4096, 0, &BLOCKS_OF_4096), Ok(write));
    }

    #[test]
    fn write_of_part_of_a_block_is_refused() {
        let length = "write 512 bytes: not a multiple of 4096";
        assert_eq!(refusal(parse(1, 8, 512, 0, &BLOCKS_OF_4096)), io_error(length));
        let start = "write sector 7: within a block of 4096 bytes";
        assert_eq!(refusal(parse(1, 7, 4096, 0, &BLOCKS_OF_4096)), io_error(start));
    }

    #[test]
    fn read_of_part_of_a_block_parses() {
        let read = Request::Read { offset: 3584, len: 1024 };
        assert_eq!(parse(0, 7, 0, 1024, &BLOCKS_OF_4096), Ok(read));
    }

    #[test]
    fn statuses_are_those_of_the_specification() {
        assert_eq!(u32::from(Status::Ok.byte()), VIRTIO_BLK_S_OK);
        assert_eq!(u32::from(Status::IoErr.byte()), VIRTIO_BLK_S_IOERR);
        assert_eq!(u32::from(Status::Unsupported.byte()), VIRTIO_BLK_S_UNSUPP);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! DISCARD and WRITE_ZEROES: requests about ranges of the disk, without their data.

use virtio_bindings::bindings::virtio_blk::{
    VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP,
};

use super::{BlkQueue, Request, Status};

/// VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP: the space may be given back.
pub const UNMAP: u32 = VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;

/// A range of the disk: `virtio_blk_discard_write_zeroes` (virtio 1.3, section 5.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Its first sector.
    pub sector: u64,
    /// How many sectors it has.
    pub sectors: u32,
    /// [`UNMAP`], or bits that nobody knows.
    pub flags: u32,
}

impl Extent {
    /// Its length in a request, in bytes.
    pub const SIZE: usize = 16;

    /// A range without flags.
    pub fn new(sector: u64, sectors: u32) -> Self {
        Self { sector, sectors, flags: 0 }
    }

    /// The same with `flags`.
    pub fn flags(self, flags: u32) -> Self {
        Self { flags, ..self }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.sector.to_le_bytes().to_vec();
        bytes.extend(self.sectors.to_le_bytes());
        bytes.extend(self.flags.to_le_bytes());
        bytes
    }
}

impl Request {
    /// Says that what is in `extents` is no longer needed.
    pub fn discard(extents: &[Extent]) -> Self {
        Self::new(VIRTIO_BLK_T_DISCARD, 0, &bytes(extents), 0)
    }

    /// Makes `extents` zeroes.
    pub fn write_zeroes(extents: &[Extent]) -> Self {
        Self::new(VIRTIO_BLK_T_WRITE_ZEROES, 0, &bytes(extents), 0)
    }
}

impl BlkQueue {
    /// Says that what is in one extent is no longer needed.
    #[track_caller]
    pub fn discard(&mut self, extent: Extent) -> Result<(), Status> {
        self.request(&Request::discard(&[extent])).status
    }

    /// Makes one extent zeroes.
    #[track_caller]
    pub fn write_zeroes(&mut self, extent: Extent) -> Result<(), Status> {
        self.request(&Request::write_zeroes(&[extent])).status
    }
}

fn bytes(extents: &[Extent]) -> Vec<u8> {
    extents.iter().flat_map(Extent::bytes).collect()
}

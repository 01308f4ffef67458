// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Requests that a device must answer, to find out whether it serves a ring.

use crate::bytes::Bytes;
use crate::driver::Segment;
use crate::features::{CTRL_VQ, NET_MQ};

/// What is at the other end of the rings.
#[derive(Clone, Debug)]
pub enum Device {
    /// A block device with this in its first sector.
    Blk {
        /// 512 bytes.
        sector: Bytes,
    },
    /// The network device that `vhost-user-stub` pretends to be.
    Net,
    /// The file system that `vhost-user-stub` pretends to be.
    Fs,
}

/// A request: where its parts are, and what must be in its memory before and after.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) segments: Vec<Segment>,
    pub(super) before: Vec<(usize, Vec<u8>)>,
    pub(super) after: Vec<(usize, Vec<u8>)>,
    /// As many bytes of the device-writable part are to be written.
    pub(super) written: u32,
}

/// As much memory as a request wants.
pub(super) const ROOM: u64 = 4096;

/// Bytes between the parts of a request.
const PART: usize = 1024;

/// Pairs of queues that the stub has.
const PAIRS: u8 = 4;

impl Device {
    /// Whether requests stay in this ring, because the device has nothing to put into them.
    pub(super) fn keeps(&self, queue: u8, features: u64) -> bool {
        matches!(self, Self::Net) && queue != control_queue(features) && queue.is_multiple_of(2)
    }

    /// A request for this ring, in [`ROOM`] bytes from the guest address `at`.
    pub(super) fn request(&self, queue: u8, features: u64, at: u64) -> Request {
        match self {
            Self::Blk { sector } => read_sector(at, sector),
            Self::Net if queue == control_queue(features) => command(at),
            Self::Net if self.keeps(queue, features) => receive(at),
            Self::Net => frame(at),
            Self::Fs => getattr(at),
        }
    }
}

/// The last queue, if the driver knows of it.
fn control_queue(features: u64) -> u8 {
    match (features & CTRL_VQ != 0, features & NET_MQ != 0) {
        (false, _) => u8::MAX,
        (true, true) => 2 * PAIRS,
        (true, false) => 2,
    }
}

fn part(at: u64, index: usize) -> u64 {
    at + u64::try_from(index * PART).expect("an offset")
}

/// VIRTIO_BLK_T_IN of the first sector.
fn read_sector(at: u64, sector: &[u8]) -> Request {
    let segments = vec![
        Segment::readable(at, 16),
        Segment::writable(part(at, 1), sector.len()),
        Segment::writable(part(at, 2), 1),
    ];
    let before = vec![(0, vec![0; 16]), (PART, vec![0xee; sector.len()]), (2 * PART, vec![0xee])];
    let after = vec![(PART, sector.to_vec()), (2 * PART, vec![0])];
    Request { segments, before, after, written: 513 }
}

/// VIRTIO_NET_CTRL_RX_PROMISC, off.
fn command(at: u64) -> Request {
    let segments = vec![Segment::readable(at, 3), Segment::writable(part(at, 1), 1)];
    let before = vec![(0, vec![0; 3]), (PART, vec![0xee])];
    Request { segments, before, after: vec![(PART, vec![0])], written: 1 }
}

/// A frame to send, behind its header.
fn frame(at: u64) -> Request {
    let segments = vec![Segment::readable(at, 12 + 60)];
    Request { segments, before: vec![(0, vec![0; 72])], after: Vec::new(), written: 0 }
}

/// Room for a frame.
fn receive(at: u64) -> Request {
    let segments = vec![Segment::writable(at, 2048)];
    Request { segments, before: Vec::new(), after: Vec::new(), written: 0 }
}

/// FUSE_GETATTR of the root, which the stub answers with ENOSYS.
fn getattr(at: u64) -> Request {
    const UNIQUE: u64 = 0x1122_3344_5566_7788;
    // Length, opcode, number; the inode (1), then user, group, process and padding.
    let mut header = [56_u32, 3].map(u32::to_le_bytes).concat();
    header.extend([UNIQUE, 1, 0, 0].map(u64::to_le_bytes).concat());
    header.resize(56, 0);
    let mut answer = 16_u32.to_le_bytes().to_vec();
    answer.extend((-38_i32).to_le_bytes());
    answer.extend(UNIQUE.to_le_bytes());
    let segments = vec![Segment::readable(at, 56), Segment::writable(part(at, 1), 120)];
    let before = vec![(0, header), (PART, vec![0xee; 16])];
    Request { segments, before, after: vec![(PART, answer)], written: 16 }
}

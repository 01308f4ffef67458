// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The join: a virtio block device over a disk (virtio 1.3, section 5.2).

use std::num::NonZero;
use std::ops::Range;
use std::sync::Arc;
use std::thread;

use vhost_user_device::{
    Buffers, Device, DeviceQueue, GuestSlice, Request as Chain, Scratch, Turn, VirtioFeatures,
};
use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_F_BLK_SIZE, VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_MQ, VIRTIO_BLK_F_RO,
    VIRTIO_BLK_F_SEG_MAX, VIRTIO_BLK_F_TOPOLOGY,
};

use crate::config::{Config, Serial};
use crate::disk::{Disk, Memory, OpenError};
use crate::faults::{self, Fault, Faults};
use crate::request::{Geometry, HEADER_LEN, Outline, Request, SECTOR, STATUS_LEN, Status};
use crate::space::{ConfigSpace, Fields};

/// How many pieces the data of a request may have, at most. Together with header and status they
/// fill QEMU's default queue of 128 descriptors.
const SEG_MAX: u16 = 126;

/// A block device.
#[derive(Debug)]
pub struct Blk {
    disk: Arc<Disk>,
    serial: Serial,
    space: ConfigSpace,
    queue_size: u16,
    /// One for each virtqueue, since it outlives the queue's runs: a driver that resets the device
    /// gets no more lines in the log than one that does not.
    faults: Box<[Arc<Faults>]>,
}

/// One virtqueue of a [`Blk`].
#[derive(Debug)]
pub struct BlkQueue {
    index: u16,
    disk: Arc<Disk>,
    serial: Serial,
    /// The driver did not ack FLUSH, so that it cannot ask for what it has written to be on
    /// stable storage: it is, before the write is completed (virtio 1.3, section 5.2.6.2).
    write_through: bool,
    scratch: Scratch,
    faults: Arc<Faults>,
}

impl Blk {
    /// Opens the disk and makes a device of it.
    ///
    /// # Errors
    /// The disk cannot be opened as the operator wants it.
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        let cpus = thread::available_parallelism().map_or(1, NonZero::get);
        let cpus = u16::try_from(cpus).unwrap_or(u16::MAX);
        Ok(Self::new(config, Disk::open(&config.disk)?, cpus))
    }

    /// The device over an open disk, on a host that lets us use `cpus` CPUs.
    fn new(config: &Config, disk: Disk, cpus: u16) -> Self {
        let Config { disk: _, num_queues, queue_size, serial } = config;
        let fields = Fields {
            // Header and status need a descriptor each.
            seg_max: u32::from(queue_size.saturating_sub(2).min(SEG_MAX)),
            block_size: disk.block_size(),
            physical_block_size: disk.physical_block_size(),
            num_queues: cpus.clamp(1, *num_queues),
        };
        Self {
            serial: serial.unwrap_or_else(|| Serial::of(disk.identity())),
            disk: Arc::new(disk),
            space: ConfigSpace::new(&fields),
            queue_size: *queue_size,
            faults: (0..*num_queues).map(|_| Arc::default()).collect(),
        }
    }
}

impl Device for Blk {
    type Queue = BlkQueue;

    const NAME: &'static str = "blk";

    fn features(&self) -> VirtioFeatures {
        let features = VirtioFeatures::default()
            .with(VIRTIO_BLK_F_SEG_MAX)
            .with(VIRTIO_BLK_F_BLK_SIZE)
            .with(VIRTIO_BLK_F_FLUSH)
            .with(VIRTIO_BLK_F_TOPOLOGY)
            .with(VIRTIO_BLK_F_MQ);
        if self.disk.is_read_only() { features.with(VIRTIO_BLK_F_RO) } else { features }
    }

    fn num_queues(&self) -> u16 {
        u16::try_from(self.faults.len()).unwrap_or(u16::MAX)
    }

    fn max_queue_size(&self) -> u16 {
        self.queue_size
    }

    fn read_config(&self, offset: u32, out: &mut [u8]) {
        let Geometry { sectors, .. } = geometry(&self.disk);
        self.space.with_capacity(sectors).read(offset, out);
    }

    fn refresh(&self) -> bool {
        self.disk.refresh()
    }

    fn start_queue(&self, index: u16, acked: VirtioFeatures) -> BlkQueue {
        BlkQueue {
            index,
            disk: Arc::clone(&self.disk),
            serial: self.serial,
            write_through: !acked.has(VIRTIO_BLK_F_FLUSH),
            scratch: Scratch::default(),
            faults: self.faults.get(usize::from(index)).cloned().unwrap_or_default(),
        }
    }
}

impl DeviceQueue for BlkQueue {
    fn submit(&mut self, mut chain: Chain, turn: &mut Turn<'_>) {
        let written = match self.serve(&chain) {
            Ok(data) => answer(&chain, Status::Ok, data),
            Err(fault) => {
                self.faults.note(self.index, &fault);
                if let Fault::Driver(_) = fault {
                    // Not a byte of the data was touched, however many there are.
                    let end = chain.writable().len();
                    chain.wrote_only(end.saturating_sub(STATUS_LEN)..end);
                }
                answer(&chain, fault.status(), 0)
            }
        };
        turn.complete(chain, written);
    }

    fn fail(chain: &Chain) -> u32 {
        answer(chain, Status::IoErr, 0)
    }
}

/// Ends the chain with its status, after `data` bytes of data, and returns how many bytes were
/// written to it.
fn answer(chain: &Chain, status: Status, data: usize) -> u32 {
    let writable = chain.writable();
    let Some(at) = writable.len().checked_sub(STATUS_LEN) else {
        return 0;
    };
    if writable.write(at, &[status.byte()]).is_err() {
        return 0;
    }
    u32::try_from(data.saturating_add(STATUS_LEN)).unwrap_or(u32::MAX)
}

impl BlkQueue {
    /// Does what the chain asks for, and returns how many bytes of data it wrote to it.
    fn serve(&mut self, chain: &Chain) -> Result<usize, Fault> {
        match Request::parse(&outline(chain), &geometry(&self.disk))? {
            Request::Read { offset, len } => {
                self.disk
                    .read(offset, &mut Part::of(chain.writable(), 0..len, &mut self.scratch))?;
                Ok(len)
            }
            Request::Write { offset, len } => {
                let data = HEADER_LEN..HEADER_LEN.saturating_add(len);
                self.disk
                    .write(offset, &mut Part::of(chain.readable(), data, &mut self.scratch))?;
                if self.write_through {
                    self.disk.flush()?;
                }
                Ok(0)
            }
            Request::Flush => {
                self.disk.flush()?;
                Ok(0)
            }
            Request::GetId { len } => {
                let id = self.serial.bytes();
                let said = &id[..len.min(id.len())];
                Ok(chain.writable().write(0, said).map_or(0, |()| said.len()))
            }
        }
    }
}

impl Drop for Blk {
    fn drop(&mut self) {
        faults::log_sum(&self.faults);
    }
}

/// What can be asked of the disk just now.
fn geometry(disk: &Disk) -> Geometry {
    Geometry {
        sectors: disk.size() / u64::from(SECTOR),
        block_size: disk.block_size(),
        read_only: disk.is_read_only(),
    }
}

/// What the parser looks at of a chain.
fn outline(chain: &Chain) -> Outline {
    let (readable, writable) = (chain.readable(), chain.writable());
    let mut header = [0; HEADER_LEN];
    let header = readable.read(0, &mut header).is_ok().then_some(header);
    Outline { header, readable: readable.len(), writable: writable.len() }
}

/// The data of a request, within one half of its chain.
struct Part<'r> {
    buffers: &'r Buffers,
    range: Range<usize>,
    scratch: &'r mut Scratch,
}

impl<'r> Part<'r> {
    fn of(buffers: &'r Buffers, range: Range<usize>, scratch: &'r mut Scratch) -> Self {
        Self { buffers, range, scratch }
    }
}

impl Memory for Part<'_> {
    fn size(&self) -> usize {
        self.range.len()
    }

    fn pieces(&mut self, from: usize) -> &[GuestSlice<'_>] {
        let start = self.range.start.saturating_add(from);
        self.buffers.slices(start..self.range.end, self.scratch)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use crate::disk::Options;

    use super::*;

    /// A device over a file of `sectors`, with the serial `serial`, on a host with `cpus` CPUs.
    fn device(read_only: bool, num_queues: u16, queue_size: u16, cpus: u16) -> Blk {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.img");
        File::create(&path).unwrap().set_len(8 * 512).unwrap();
        let disk = Options { path, read_only, block_size: None };
        let config = Config { disk, num_queues, queue_size, serial: None };
        let disk = Disk::open(&config.disk).unwrap();
        Blk::new(&config, disk, cpus)
    }

    fn config_bytes<const N: usize>(device: &Blk, offset: u32) -> [u8; N] {
        let mut out = [0xee; N];
        device.read_config(offset, &mut out);
        out
    }

    #[test]
    fn features_of_a_writable_disk_have_no_ro() {
        // SEG_MAX, BLK_SIZE, FLUSH, TOPOLOGY, MQ.
        let expected = 1 << 2 | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 12;
        assert_eq!(device(false, 64, 1024, 4).features().bits(), expected);
    }

    #[test]
    fn features_of_a_read_only_disk_have_ro() {
        let expected = 1 << 2 | 1 << 5 | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 12;
        assert_eq!(device(true, 64, 1024, 4).features().bits(), expected);
    }

    #[test]
    fn config_space_says_as_many_queues_as_there_are_cpus() {
        let device = device(false, 64, 1024, 4);
        assert_eq!(config_bytes(&device, 34), 4_u16.to_le_bytes());
        assert_eq!(device.num_queues(), 64);
    }

    #[test]
    fn config_space_says_no_more_queues_than_allowed() {
        assert_eq!(config_bytes(&device(false, 2, 1024, 4), 34), 2_u16.to_le_bytes());
    }

    #[test]
    fn config_space_says_the_size_in_sectors() {
        assert_eq!(config_bytes(&device(false, 64, 1024, 4), 0), 8_u64.to_le_bytes());
    }

    #[test]
    fn segments_leave_room_for_header_and_status_in_a_short_queue() {
        assert_eq!(config_bytes(&device(false, 1, 1024, 4), 12), 126_u32.to_le_bytes());
        assert_eq!(config_bytes(&device(false, 1, 64, 4), 12), 62_u32.to_le_bytes());
    }

    #[test]
    fn write_through_holds_until_the_driver_acks_flush() {
        let device = device(false, 1, 1024, 4);
        let acked = VirtioFeatures::default().with(VIRTIO_BLK_F_FLUSH);
        assert!(!device.start_queue(0, acked).write_through);
        assert!(device.start_queue(0, VirtioFeatures::default()).write_through);
    }

    #[test]
    fn default_serial_fits_and_differs_between_files() {
        // Both at a time: a file that is gone leaves its inode to the next.
        let devices = [device(false, 1, 1024, 4), device(false, 1, 1024, 4)];
        let [one, other] = devices.each_ref().map(|device| device.serial);
        assert!(one.bytes().starts_with(b"vub-"));
        assert!(!one.bytes().contains(&0));
        assert_ne!(one, other);
    }
}

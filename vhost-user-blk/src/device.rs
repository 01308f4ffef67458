// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The join: a virtio block device over a disk (virtio 1.3, section 5.2).

use std::num::NonZero;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::thread;

use vhost_user_device::{ConfigRefused, ConfigWriter, Device, Engine, SupplyError, VirtioFeatures};
use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_F_BLK_SIZE, VIRTIO_BLK_F_CONFIG_WCE, VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_FLUSH,
    VIRTIO_BLK_F_MQ, VIRTIO_BLK_F_RO, VIRTIO_BLK_F_SEG_MAX, VIRTIO_BLK_F_TOPOLOGY,
    VIRTIO_BLK_F_WRITE_ZEROES,
};

use crate::args::IoEngine;
use crate::cache::WriteCache;
use crate::config::{Config, Serial};
use crate::disk::{Cache, Discard, Disk, OpenError};
use crate::faults::{self, Faults};
use crate::queue::{self, BlkQueue, Own};
use crate::space::{ConfigSpace, Fields, WRITEBACK};

/// How many pieces the data of a request may have, at most. Together with header and status they
/// fill QEMU's default queue of 128 descriptors.
const SEG_MAX: u16 = 126;

/// A block device.
#[derive(Debug)]
pub struct Blk {
    disk: Arc<Disk>,
    serial: Serial,
    space: ConfigSpace,
    cache: Arc<WriteCache>,
    engine: Engine,
    queue_size: u16,
    /// One for each virtqueue, since it outlives the queue's runs: a driver that resets the device
    /// gets no more lines in the log than one that does not.
    faults: Box<[Arc<Faults>]>,
}

/// Why there is no block device: the operator's fault, or the host's.
#[derive(Debug, thiserror::Error)]
pub enum BlkError {
    /// The disk cannot be opened as the operator wants it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What is to wait for the disk cannot be had.
    #[error("--io-engine io_uring; --io-engine sync does without")]
    Engine(#[from] SupplyError),
}

impl Blk {
    /// Opens the disk and makes a device of it.
    ///
    /// # Errors
    /// The disk cannot be opened as the operator wants it, or what is to wait for it cannot be had.
    pub fn open(config: &Config) -> Result<Self, BlkError> {
        let cpus = thread::available_parallelism().map_or(1, NonZero::get);
        let cpus = u16::try_from(cpus).unwrap_or(u16::MAX);
        engine(config.engine).check()?;
        let disk = Disk::open(&config.disk)?;
        if disk.would_lose() {
            log::warn!("--cache unsafe: what the guest has written is lost if the host goes down");
        }
        Ok(Self::new(config, disk, cpus))
    }

    /// The device over an open disk, on a host that lets us use `cpus` CPUs.
    fn new(config: &Config, disk: Disk, cpus: u16) -> Self {
        let Config { disk: options, engine: wanted, queue_size, serial } = config;
        let num_queues = options.num_queues;
        let writable = !disk.is_read_only();
        let fields = Fields {
            // Header and status need a descriptor each.
            seg_max: u32::from(queue_size.saturating_sub(2).min(SEG_MAX)),
            limits: *disk.limits(),
            num_queues: cpus.clamp(1, num_queues),
            discard: writable && disk.discard() == Discard::Unmap,
            write_zeroes: writable,
        };
        Self {
            serial: serial.unwrap_or_else(|| Serial::of(disk.identity())),
            cache: Arc::new(WriteCache::new(disk.cache() == Cache::Writethrough)),
            disk: Arc::new(disk),
            space: ConfigSpace::new(&fields),
            engine: engine(*wanted),
            queue_size: *queue_size,
            faults: (0..num_queues).map(|_| Arc::default()).collect(),
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
            .with(VIRTIO_BLK_F_CONFIG_WCE)
            .with(VIRTIO_BLK_F_MQ);
        if self.disk.is_read_only() {
            return features.with(VIRTIO_BLK_F_RO);
        }
        let features = features.with(VIRTIO_BLK_F_WRITE_ZEROES);
        match self.disk.discard() {
            Discard::Unmap => features.with(VIRTIO_BLK_F_DISCARD),
            Discard::Ignore => features,
        }
    }

    fn num_queues(&self) -> u16 {
        u16::try_from(self.faults.len()).unwrap_or(u16::MAX)
    }

    fn max_queue_size(&self) -> u16 {
        self.queue_size
    }

    fn read_config(&self, offset: u32, out: &mut [u8]) {
        let writeback = !self.cache.is_written_through();
        let space = self.space.with_capacity(queue::sectors(&self.disk));
        space.with_writeback(writeback).read(offset, out);
    }

    /// The driver may change one field, `writeback`.
    fn write_config(
        &self,
        offset: u32,
        data: &[u8],
        writer: ConfigWriter,
    ) -> Result<(), ConfigRefused> {
        let may = match writer {
            ConfigWriter::Driver { acked } => acked.has(VIRTIO_BLK_F_CONFIG_WCE),
            ConfigWriter::Migration => true,
        };
        match data {
            [field] if may && offset == WRITEBACK && self.cache.set(*field) => Ok(()),
            _ => Err(ConfigRefused { offset, len: data.len() }),
        }
    }

    fn refresh(&self) -> bool {
        self.disk.refresh()
    }

    fn changes(&self) -> Option<BorrowedFd<'_>> {
        self.disk.changes()
    }

    fn take_changes(&self) -> bool {
        self.disk.take_changes()
    }

    fn engine(&self) -> Engine {
        self.engine
    }

    fn start_queue(&self, index: u16, acked: VirtioFeatures) -> BlkQueue {
        let own = Own {
            index,
            serial: self.serial,
            cache: Arc::clone(&self.cache),
            acked,
            faults: self.faults.get(usize::from(index)).cloned().unwrap_or_default(),
        };
        BlkQueue::new(&self.disk, own)
    }
}

impl Drop for Blk {
    fn drop(&mut self) {
        faults::log_sum(&self.faults);
    }
}

fn engine(wanted: IoEngine) -> Engine {
    match wanted {
        IoEngine::Auto => Engine::Auto,
        IoEngine::IoUring => Engine::Uring,
        IoEngine::Sync => Engine::Threads,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use crate::disk::Options;

    use super::*;

    /// A device over a file of 8 sectors, on a host with `cpus` CPUs.
    fn device(read_only: bool, num_queues: u16, queue_size: u16, cpus: u16) -> Blk {
        let change = |options: &mut Options| {
            (options.read_only, options.num_queues) = (read_only, num_queues);
        };
        open(change, queue_size, cpus)
    }

    fn device_with(change: impl FnOnce(&mut Options)) -> Blk {
        open(change, 1024, 4)
    }

    fn open(change: impl FnOnce(&mut Options), queue_size: u16, cpus: u16) -> Blk {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.img");
        File::create(&path).unwrap().set_len(8 * 512).unwrap();
        let mut disk = Options::of(&path);
        change(&mut disk);
        let config = Config { disk, engine: IoEngine::Sync, queue_size, serial: None };
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
        // SEG_MAX, BLK_SIZE, FLUSH, TOPOLOGY, CONFIG_WCE, MQ, DISCARD, WRITE_ZEROES.
        let expected = 1 << 2 | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14;
        assert_eq!(device(false, 64, 1024, 4).features().bits(), expected);
    }

    #[test]
    fn features_of_a_read_only_disk_have_ro_and_nothing_that_changes_it() {
        let expected = 1 << 2 | 1 << 5 | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;
        assert_eq!(device(true, 64, 1024, 4).features().bits(), expected);
    }

    #[test]
    fn features_of_a_disk_that_ignores_discard_have_none_but_write_zeroes() {
        let device = device_with(|options| options.discard = Discard::Ignore);
        assert!(!device.features().has(VIRTIO_BLK_F_DISCARD));
        assert!(device.features().has(VIRTIO_BLK_F_WRITE_ZEROES));
        assert_eq!(config_bytes(&device, 36), [0; 12], "limits of discard");
        assert_eq!(config_bytes(&device, 56), [0], "write_zeroes_may_unmap");
    }

    #[test]
    fn cache_is_written_back_unless_the_operator_wants_it_otherwise() {
        let writeback = |cache| {
            let device = device_with(|options| options.cache = cache);
            config_bytes::<1>(&device, 32)
        };
        assert_eq!(writeback(Cache::Writeback), [1]);
        assert_eq!(writeback(Cache::Unsafe), [1]);
        assert_eq!(writeback(Cache::Auto), [1]);
        assert_eq!(writeback(Cache::Writethrough), [0]);
    }

    #[test]
    fn mode_of_the_cache_is_the_drivers_to_change() {
        let device = device(false, 1, 1024, 4);
        let acked = VirtioFeatures::default().with(VIRTIO_BLK_F_CONFIG_WCE);
        for writer in [ConfigWriter::Driver { acked }, ConfigWriter::Migration] {
            for mode in [[0], [1]] {
                assert_eq!(device.write_config(32, &mode, writer), Ok(()));
                assert_eq!(config_bytes(&device, 32), mode);
            }
        }
    }

    #[test]
    fn other_writes_to_the_config_space_are_refused() {
        let device = device(false, 1, 1024, 4);
        let acked = VirtioFeatures::default().with(VIRTIO_BLK_F_CONFIG_WCE);
        let driver = ConfigWriter::Driver { acked };
        let without = ConfigWriter::Driver { acked: VirtioFeatures::default() };
        let cases: [(u32, &[u8], _); 6] = [
            (32, &[0], without),
            (32, &[2], driver),
            (32, &[0, 0], driver),
            (32, &[], driver),
            (31, &[0], driver),
            (0, &[0; 8], ConfigWriter::Migration),
        ];
        for (offset, data, writer) in cases {
            let refused = ConfigRefused { offset, len: data.len() };
            assert_eq!(device.write_config(offset, data, writer), Err(refused));
            assert_eq!(config_bytes(&device, 32), [1]);
        }
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
    fn default_serial_fits_and_differs_between_files() {
        // Both at a time: a file that is gone leaves its inode to the next.
        let devices = [device(false, 1, 1024, 4), device(false, 1, 1024, 4)];
        let [one, other] = devices.each_ref().map(|device| device.serial);
        assert!(one.bytes().starts_with(b"vub-"));
        assert!(!one.bytes().contains(&0));
        assert_ne!(one, other);
    }
}

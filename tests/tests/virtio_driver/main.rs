// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The `virtio-driver` crate: a front end and a driver by other authors, with ideas of their own
//! about the order of messages. It needs REPLY_ACK, CONFIG and CONFIGURE_MEM_SLOTS.

use std::os::fd::AsRawFd;

use vhost_user_tests::deadline::{Deadline, until};
use vhost_user_tests::features::{
    BLK_SIZE, DISCARD, EVENT_IDX, FLUSH, INDIRECT_DESC, MQ, VERSION_1, WRITE_ZEROES,
};
use vhost_user_tests::prelude::{Bytes, Daemon, Exit, GuestMemory, Image, SECTOR};
use virtio_driver::{VhostUser, VirtioBlkQueue, VirtioBlkTransport};

#[expect(unsafe_code, reason = "the driver takes pointers to the memory that it is lent")]
mod sys;

const FEATURES: u64 = VERSION_1 | FLUSH | MQ | BLK_SIZE | INDIRECT_DESC;

/// A disk of 64 sectors, driven by the crate.
struct Driven {
    queues: Vec<VirtioBlkQueue<'static, u64>>,
    transport: Box<VirtioBlkTransport>,
    memory: GuestMemory,
    daemon: Daemon,
    image: Image,
}

impl Driven {
    fn with(features: u64, queues: usize) -> Self {
        let image = Image::of_sectors(64);
        let daemon = Daemon::blk().image(&image).start();
        let socket = daemon.socket().to_str().expect("a path in UTF-8");
        let transport = VhostUser::new(socket, features).expect("connect the driver");
        let mut transport: Box<VirtioBlkTransport> = Box::new(transport);
        let queues = VirtioBlkQueue::setup_queues(transport.as_mut(), queues, 64);
        let mut queues: Vec<_> = queues.expect("set up the driver's queues");
        // Its way to be called at all with EVENT_IDX.
        queues.iter_mut().for_each(|queue| queue.set_used_notif_enabled(true));
        let memory = GuestMemory::new(1 << 20);
        let region = &memory.regions()[0];
        let fd = region.file().as_raw_fd();
        let mapped = transport.map_mem_region(region.host_address(), 1 << 20, fd, 0);
        mapped.expect("share the driver's memory");
        Self { queues, transport, memory, daemon, image }
    }

    /// Kicks the queue if the device wants that, and waits until it has completed `count`
    /// requests; what became of each, by its context.
    fn complete(&mut self, queue: usize, count: usize) -> Vec<(u64, i32)> {
        if self.queues[queue].avail_notif_needed() {
            let kick = self.transport.get_submission_notifier(queue);
            kick.notify().expect("kick the device");
        }
        let calls = self.transport.get_completion_fd(queue);
        let (mut done, deadline) = (Vec::new(), Deadline::new());
        loop {
            done.extend(self.queues[queue].completions().map(|it| (it.context, it.ret)));
            if done.len() >= count {
                return done;
            }
            assert!(deadline.readable(&calls), "no call for a request of the driver");
            calls.read().expect("read the driver's call descriptor");
        }
    }

    fn read(&mut self, queue: usize, sector: u64, count: usize) -> Bytes {
        let buffer = self.memory.buffer(count * SECTOR);
        sys::read(&mut self.queues[queue], sector * 512, &buffer, 77);
        assert_eq!(self.complete(queue, 1), [(77, 0)]);
        buffer.bytes()
    }

    fn write(&mut self, queue: usize, sector: u64, bytes: &[u8]) {
        let buffer = self.memory.buffer(bytes.len());
        buffer.write(bytes);
        sys::write(&mut self.queues[queue], sector * 512, &buffer, 78);
        assert_eq!(self.complete(queue, 1), [(78, 0)]);
    }
}

#[test]
fn driver_reads_what_the_image_has() {
    for features in [FEATURES, FEATURES | EVENT_IDX] {
        let mut it = Driven::with(features, 1);
        assert_eq!(it.read(0, 3, 1), it.image.sector(3));
        assert_eq!(it.read(0, 0, 64), it.image.sectors(0, 64));
    }
}

#[test]
fn driver_writes_and_flushes() {
    let mut it = Driven::with(FEATURES | EVENT_IDX, 1);
    it.write(0, 9, &Image::contents(900));
    it.queues[0].flush(5).unwrap();
    assert_eq!(it.complete(0, 1), [(5, 0)]);
    assert_eq!(it.image.sector(9), Image::contents(900));
    assert_eq!(it.read(0, 9, 1), Image::contents(900));
}

#[test]
fn driver_is_told_the_config_space() {
    let it = Driven::with(FEATURES, 1);
    let config = it.transport.get_config().unwrap();
    assert_eq!(u64::from(config.capacity), 64);
    assert_eq!(u32::from(config.blk_size), 512);
    assert_eq!(it.transport.max_queues(), Some(64));
    assert!(it.transport.max_mem_regions() >= 8);
}

#[test]
fn driver_is_told_of_errors() {
    let mut it = Driven::with(FEATURES, 1);
    let buffer = it.memory.buffer(SECTOR);
    sys::read(&mut it.queues[0], 64 * 512, &buffer, 1);
    assert_eq!(it.complete(0, 1), [(1, -libc::EIO)]);
    // Of a feature that it has not acked.
    it.queues[0].discard(0, 512, 2).unwrap();
    assert_eq!(it.complete(0, 1), [(2, -libc::ENOTSUP)]);
    assert_eq!(it.read(0, 63, 1), it.image.sector(63));
}

#[test]
fn driver_discards_and_writes_zeroes() {
    let mut it = Driven::with(FEATURES | EVENT_IDX | DISCARD | WRITE_ZEROES, 1);
    it.queues[0].discard(8 * 512, 8 * 512, 1).unwrap();
    assert_eq!(it.complete(0, 1), [(1, 0)]);
    for (unmap, sector) in [(false, 24), (true, 40)] {
        it.queues[0].write_zeroes(sector * 512, 8 * 512, unmap, 2).unwrap();
        assert_eq!(it.complete(0, 1), [(2, 0)]);
    }
    it.queues[0].discard(64 * 512, 512, 3).unwrap();
    assert_eq!(it.complete(0, 1), [(3, -libc::EIO)]);
    for sector in 0..64 {
        let zeroes = [8..16, 24..32, 40..48].iter().any(|range| range.contains(&sector));
        let expected = if zeroes { [0; SECTOR].to_vec().into() } else { Image::contents(sector) };
        assert_eq!(it.read(0, sector, 1), expected, "sector {sector}");
    }
}

#[test]
fn driver_with_many_requests_in_flight_gets_each_back_once() {
    let mut it = Driven::with(FEATURES | EVENT_IDX, 1);
    for _ in 0..50 {
        let buffers: Vec<_> = (0..16).map(|_| it.memory.buffer(SECTOR)).collect();
        for (sector, buffer) in (0..).zip(&buffers) {
            sys::read(&mut it.queues[0], sector * 512, buffer, sector);
        }
        let mut done = it.complete(0, 16);
        done.sort_unstable();
        assert_eq!(done, (0..16).map(|sector| (sector, 0)).collect::<Vec<_>>());
        for (sector, buffer) in (0..).zip(&buffers) {
            assert_eq!(buffer.bytes(), it.image.sector(sector));
        }
    }
}

#[test]
fn driver_with_as_many_queues_as_the_config_space_says_is_served_on_each() {
    let cpus = std::thread::available_parallelism().unwrap().get().min(64);
    let mut it = Driven::with(FEATURES | EVENT_IDX, cpus);
    for queue in 0..cpus {
        it.write(queue, 5, &Image::contents(queue.try_into().unwrap()));
        assert_eq!(it.read(queue, 5, 1), it.image.sector(5));
    }
}

#[test]
fn driver_that_takes_memory_away_goes_on_with_the_rest() {
    let mut it = Driven::with(FEATURES, 1);
    let more = GuestMemory::new(1 << 20);
    let region = &more.regions()[0];
    let (address, fd) = (region.host_address(), region.file().as_raw_fd());
    it.transport.map_mem_region(address, 1 << 20, fd, 0).unwrap();
    let buffer = more.buffer(SECTOR);
    sys::read(&mut it.queues[0], 0, &buffer, 1);
    assert_eq!(it.complete(0, 1), [(1, 0)]);
    assert_eq!(buffer.bytes(), it.image.sector(0));
    it.transport.unmap_mem_region(address, 1 << 20).unwrap();
    assert_eq!(it.read(0, 1, 1), it.image.sector(1));
}

#[test]
fn driver_after_driver_is_served_by_the_same_daemon() {
    let Driven { queues, transport, daemon, image, .. } = Driven::with(FEATURES, 1);
    drop((queues, transport));
    let socket = daemon.socket().to_str().unwrap();
    let transport = until("the daemon to be there for the next driver", || {
        VhostUser::new(socket, FEATURES).ok()
    });
    let mut transport: Box<VirtioBlkTransport> = Box::new(transport);
    assert_eq!(u64::from(transport.get_config().unwrap().capacity), 64);
    let queues = VirtioBlkQueue::<u64>::setup_queues(transport.as_mut(), 1, 64).unwrap();
    drop((queues, transport, image));
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Two snapshots of guest memory around a load of all kinds of requests: every page that differs
//! is in the log, and no page is that the device had no business with.
//!
//! All is laid out before the first snapshot, and the queues are only enabled between the two, so
//! that whatever differs was written by the device. Each buffer has pages of its own, and all of
//! them are filled with what no request brings: a page that is written does differ.

use std::collections::BTreeSet;
use std::fs::File;

use vhost_user_tests::deadline::until;
use vhost_user_tests::dirty_log::{DirtyLog, LOG_PAGE};
use vhost_user_tests::memory::{BASE, Buffer};
use vhost_user_tests::prelude::*;
use virtio_bindings::bindings::virtio_blk::{
    VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
};

use crate::{FAR, MIB, pages};

/// Rings and what the device reads, then two regions that touch, and one far away.
const REGIONS: [RegionAt; 4] = [
    RegionAt::new(BASE, MIB),
    RegionAt::new(BASE + MIB, MIB),
    RegionAt { offset: 0x3000, ..RegionAt::new(BASE + 2 * MIB, MIB) },
    RegionAt::new(FAR, MIB),
];

/// Where the two regions touch that have buffers.
const BORDER: u64 = BASE + 2 * MIB;

/// As many sectors are left of the image of 64: what is behind them cannot be read.
const SECTORS_LEFT: u64 = 40;

/// What is in the buffers before the device writes.
const FILL: u8 = 0xee;

/// Descriptors of a queue; its used ring has three pages.
const SIZE: u16 = 1024;
const USED_LEN: u64 = 6 + 8 * SIZE as u64;

/// The contents of all of the memory.
struct Snapshot(Vec<(u64, Vec<u8>)>);

impl Snapshot {
    fn of(memory: &GuestMemory) -> Self {
        let page = usize::try_from(LOG_PAGE).expect("the length of a page");
        let regions = memory.regions().iter().map(|region| region.at());
        let starts = regions.flat_map(|at| (at.guest..at.guest + at.len).step_by(page));
        Self(starts.map(|start| (start / LOG_PAGE, memory.read(start, page))).collect())
    }

    /// The pages that differ from `other`.
    fn changed(&self, other: &Self) -> BTreeSet<u64> {
        let pairs = self.0.iter().zip(&other.0);
        pairs.filter(|(one, other)| one != other).map(|((page, _), _)| *page).collect()
    }
}

/// Requests that wait in two queues, and the pages that they are to change.
struct Load {
    memory: GuestMemory,
    queues: [Queue; 2],
    /// What the device must change: all of it is logged.
    changed: BTreeSet<u64>,
    /// What else the device may log: buffers that it may write to, and doesn't.
    allowed: BTreeSet<u64>,
    /// Where the used rings are.
    used: [u64; 2],
    kept: Vec<Buffer>,
}

/// A device-writable buffer: where it is, and how long.
type Room = (u64, usize);

impl Load {
    /// Nothing so far. The queues' indices are such that their used elements begin on another page
    /// than they end on, in the second queue by way of the ring's end.
    fn new(memory: &GuestMemory) -> Self {
        for at in &REGIONS[1..] {
            memory.write(at.guest, &vec![FILL; usize::try_from(at.len).expect("a length")]);
        }
        let used = [BASE + MIB / 2, FAR + MIB / 2 - 4];
        let [first, second] = used.map(|at| {
            let used = memory.buffer_at(at, usize::try_from(USED_LEN).expect("a length"));
            let parts = [memory.buffer(16 * 1024), memory.buffer(6 + 2 * 1024), used];
            Queue::in_parts(memory, SIZE, true, parts)
        });
        let queues = [first.starting_at(505), second.starting_at(1019)];
        let (changed, allowed) = (BTreeSet::new(), BTreeSet::new());
        Self { memory: memory.clone(), queues, changed, allowed, used, kept: Vec::new() }
    }

    /// Puts a request in one of the queues, in a table of its own in the second one; the device
    /// will write all of `rooms` but for `unwritten` bytes at the end, and the status at `status`.
    fn request(
        &mut self,
        queue: usize,
        (kind, sector): (u32, u64),
        data: &[u8],
        rooms: &[Room],
        unwritten: usize,
        status: u64,
    ) {
        let header =
            self.readable(&[&kind.to_le_bytes()[..], &[0; 4], &sector.to_le_bytes()].concat());
        let mut segments = vec![header];
        if !data.is_empty() {
            segments.push(self.readable(data));
        }
        segments.extend(rooms.iter().map(|(at, len)| Segment::writable(*at, *len)));
        segments.push(Segment::writable(status, 1));
        let mut left = rooms.iter().map(|(_, len)| len).sum::<usize>() - unwritten;
        for (at, len) in rooms {
            let written = left.min(*len);
            left -= written;
            if written > 0 {
                self.changed.extend(pages(*at, written as u64));
            }
            self.allowed.extend(pages(*at, *len as u64));
        }
        self.changed.insert(status / LOG_PAGE);
        self.add(queue, &segments);
    }

    fn read(&mut self, queue: usize, sector: u64, rooms: &[Room], status: u64) {
        self.request(queue, (VIRTIO_BLK_T_IN, sector), &[], rooms, 0, status);
    }

    /// A chain that the device gives back as it is.
    fn bad(&mut self, queue: usize, segments: &[Segment]) {
        let writable = segments.iter().filter(|segment| segment.writable);
        let inside = writable.filter(|segment| segment.address >= BASE);
        self.allowed.extend(inside.flat_map(|at| pages(at.address, at.len.into())));
        self.add(queue, segments);
    }

    fn add(&mut self, queue: usize, segments: &[Segment]) {
        let head = match queue {
            0 => self.queues[0].add(segments),
            _ => self.queues[1].add_indirect(segments),
        };
        assert!(head < SIZE);
    }

    /// Device-readable bytes, on pages that the device leaves alone.
    fn readable(&mut self, bytes: &[u8]) -> Segment {
        let buffer = self.memory.buffer(bytes.len());
        assert!(buffer.address() < REGIONS[1].guest, "no buffer of the device's");
        buffer.write(bytes);
        let segment = Segment::readable(buffer.address(), bytes.len());
        self.kept.push(buffer);
        segment
    }

    /// Which pages of the used rings are written: those with flags and index, those with the
    /// elements of `count` chains, and those with the event index.
    fn used_pages(&self) -> BTreeSet<u64> {
        let mut used = BTreeSet::new();
        for (queue, start) in self.queues.iter().zip(self.used) {
            used.extend(pages(start + 2, 2));
            used.extend(pages(start + USED_LEN - 2, 2));
            let mut index = queue.next_unused();
            while index != queue.available_index() {
                used.extend(pages(start + 4 + 8 * u64::from(index % SIZE), 8));
                index = index.wrapping_add(1);
            }
        }
        used
    }

    /// Reads of all shapes.
    fn reads(&mut self, queue: usize, at: u64) {
        // On one page, with the status behind it.
        self.read(queue, 1, &[(at + 0x100, 512)], at + 0x300);
        // Whole pages, and the status on a page of its own.
        self.read(queue, 2, &[(at + 0x1000, 8192)], at + 0x4fff);
        // From the middle of a page to the middle of another, twelve kilobytes in one piece.
        self.read(queue, 3, &[(at + 0x5e01, 24 * SECTOR)], at + 0xa000);
        // In pieces of any length, one of them over a page border, and one on it.
        let pieces = [(at + 0xb001, 1), (at + 0xbff0, 511), (at + 0xd000, 12), (at + 0xefff, 500)];
        self.read(queue, 4, &pieces, at + 0x1_0000);
        // Two sectors over a page border, with the status on the last byte of a page.
        self.read(queue, 5, &[(at + 0x1_1e00, 1024)], at + 0x1_2fff);
        // In three regions at once.
        let far = FAR + (at % MIB);
        let pieces = [(at + 0x1_3000, 512), (far + 0x1_4000, 512), (at + 0x1_5000, 512)];
        self.read(queue, 6, &pieces, far + 0x1_6000);
    }

    /// Requests that fail: their status is written all the same, and perhaps more.
    fn failures(&mut self, queue: usize, at: u64) {
        // Behind the end of the disk: no byte of the room is written.
        let rooms = [(at, SECTOR)];
        self.request(queue, (VIRTIO_BLK_T_IN, 64), &[], &rooms, SECTOR, at + 0x1000);
        // A request that there is none of.
        self.request(queue, (9999, 0), &[], &[(at + 0x2000, 64)], 64, at + 0x3000);
        // A write behind the end of the disk.
        self.request(queue, (VIRTIO_BLK_T_OUT, 64), &[1; SECTOR], &[], 0, at + 0x4000);
        // A read of which the host has half: what it had is in the room.
        let sector = SECTORS_LEFT - 12;
        let rooms = [(at + 0x5000, 24 * SECTOR)];
        self.request(queue, (VIRTIO_BLK_T_IN, sector), &[], &rooms, 12 * SECTOR, at + 0x9000);
    }

    /// Requests that write a status, and little else.
    fn others(&mut self, queue: usize, at: u64) {
        self.request(queue, (VIRTIO_BLK_T_OUT, 7), &Image::contents(7), &[], 0, at);
        self.request(queue, (VIRTIO_BLK_T_FLUSH, 0), &[], &[], 0, at + 0x1000);
        // The name ends on another page than it begins on.
        self.request(queue, (VIRTIO_BLK_T_GET_ID, 0), &[], &[(at + 0x2ffe, 20)], 0, at + 0x4000);
    }

    /// Chains that are given back, with nothing written to them.
    fn bad_chains(&mut self, queue: usize, at: u64) {
        let header = self.readable(&[0; 16]);
        self.bad(queue, &[header, Segment::writable(0x10, 512), Segment::writable(at, 1)]);
        self.bad(queue, &[Segment::writable(at + 0x1000, 512), header]);
    }
}

/// The load in its queues, which run, and are disabled so far; and the log, which is on.
fn migrating() -> (Load, Frontend, DirtyLog, (Daemon, Image)) {
    let memory = GuestMemory::of_regions(&REGIONS);
    let mut load = Load::new(&memory);
    for (queue, at) in [(0, BASE + MIB), (1, BORDER + MIB / 2)] {
        load.reads(queue, at);
        load.failures(queue, at + 0x2_0000);
        load.others(queue, at + 0x3_0000);
        load.bad_chains(queue, at + 0x4_0000);
    }
    // Over the border of two regions that touch; the second begins on a page that is written, too.
    load.read(0, 8, &[(BORDER - 3000, 16 * SECTOR)], BORDER + 0x4000);
    load.read(1, 9, &[(BORDER - 0x1_0000, 512)], FAR);

    let image = Image::of_sectors(64);
    let daemon = Daemon::blk().image(&image).start();
    let file = File::options().write(true).open(image.path()).expect("open the image");
    file.set_len(SECTORS_LEFT * SECTOR as u64).expect("truncate the image");
    let mut frontend = Frontend::connect(&daemon).negotiate(USUAL).share(&memory);
    let log = DirtyLog::up_to(FAR + MIB);
    for (index, queue) in (0..).zip(&mut load.queues) {
        queue.publish();
        frontend.prepare(index, queue);
        frontend.set_vring_kick(index, queue.kick_fd()).expect("an ack of SET_VRING_KICK");
    }
    // In the order of QEMU's when a migration begins.
    frontend.set_log_base(&log).expect("an ack of SET_LOG_BASE");
    let features = frontend.features() | LOG_ALL;
    frontend.set_features(features).expect("an ack of SET_FEATURES");
    for (index, queue) in (0..).zip(&load.queues) {
        let rings = queue.rings();
        let logged = frontend.set_vring_addr_logged(index, rings, &memory, rings.used);
        logged.expect("an ack of SET_VRING_ADDR");
    }
    (load, frontend, log, (daemon, image))
}

#[test]
fn every_page_that_a_load_changes_is_logged() {
    let (load, frontend, log, _daemon) = migrating();
    assert_eq!(log.pages(), BTreeSet::new());
    let before = Snapshot::of(&load.memory);
    for index in [0, 1] {
        frontend.set_vring_enable(index, true).expect("an ack of SET_VRING_ENABLE");
    }
    for queue in &load.queues {
        let all_used = || (queue.used_index() == queue.available_index()).then_some(());
        until("all requests to be given back", all_used);
    }
    // When they have stopped, nothing more is written.
    for (index, queue) in (0..).zip(&load.queues) {
        assert_eq!(frontend.get_vring_base(index), u32::from(queue.available_index()));
    }
    let after = Snapshot::of(&load.memory);

    let changed = before.changed(&after);
    let mut expected = load.changed.clone();
    expected.extend(load.used_pages());
    assert_eq!(changed, expected, "the load does not do what it is for");
    let logged = log.pages();
    let missing: Vec<&u64> = changed.difference(&logged).collect();
    assert!(missing.is_empty(), "pages that were written and not logged: {missing:#x?}");
    expected.extend(&load.allowed);
    let surplus: Vec<&u64> = logged.difference(&expected).collect();
    assert!(surplus.is_empty(), "pages that were logged and not written: {surplus:#x?}");
}

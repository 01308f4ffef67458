// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A driver that knows what the disk must have in it, and what is still to come back.

use std::collections::HashMap;
use std::ops::Range;

use vhost_user_tests::prelude::*;

/// Some queues of a disk, and a range of its sectors that only they write to.
///
/// No sector may be in two requests at a time unless all of them read.
pub(crate) struct CheckedDisk {
    queues: Vec<BlkQueue>,
    sectors: Range<u64>,
    /// What the sectors have when all that was asked for is done.
    model: Vec<u8>,
    /// By queue and head.
    asked: HashMap<(usize, u16), Asked>,
    /// How many writes there were; no two of them have the same data.
    writes: u64,
}

/// A request that was made available and not given back yet.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Write { sector: u64, count: usize },
    Read { sector: u64, expected: Bytes },
    Flush,
}

impl CheckedDisk {
    /// Through `queues`, to the `sectors` of a new image.
    pub(crate) fn new(queues: Vec<BlkQueue>, sectors: Range<u64>) -> Self {
        let model = sectors.clone().flat_map(Image::contents).collect();
        Self { queues, sectors, model, asked: HashMap::new(), writes: 0 }
    }

    pub(crate) fn queues(&self) -> &[BlkQueue] {
        &self.queues
    }

    pub(crate) fn queue(&mut self, queue: usize) -> &mut BlkQueue {
        &mut self.queues[queue]
    }

    /// Puts a write of new data to `count` sectors in the available ring; returns its head.
    pub(crate) fn write(&mut self, queue: usize, sector: u64, count: usize) -> u16 {
        self.writes += 1;
        let data = self.data(sector, count);
        let place = self.place(sector, count);
        self.model[place].copy_from_slice(&data);
        self.add(queue, &Request::write(sector, &data), Asked::Write { sector, count })
    }

    /// What the write of this number writes: each sector begins with which write this was and which
    /// sector it is, and goes on with the low byte of the former. It must be had quickly.
    fn data(&self, sector: u64, count: usize) -> Vec<u8> {
        let mut data = vec![self.writes.to_le_bytes()[0]; count * SECTOR];
        for (sector, bytes) in (sector..).zip(data.chunks_exact_mut(SECTOR)) {
            bytes[..8].copy_from_slice(&(self.writes << 24 | sector).to_be_bytes());
        }
        data
    }

    /// Puts a read of `count` sectors in the available ring; returns its head.
    pub(crate) fn read(&mut self, queue: usize, sector: u64, count: usize) -> u16 {
        let expected = self.model[self.place(sector, count)].to_vec().into();
        self.add(queue, &Request::read(sector, count), Asked::Read { sector, expected })
    }

    /// Puts a flush in the available ring; returns its head.
    pub(crate) fn flush(&mut self, queue: usize) -> u16 {
        self.add(queue, &Request::flush(), Asked::Flush)
    }

    fn add(&mut self, queue: usize, request: &Request, asked: Asked) -> u16 {
        let disk = &mut self.queues[queue];
        // Half of them take one descriptor, the others three.
        let indirect = self.asked.len().is_multiple_of(2);
        let head = disk.add(&if indirect { request.clone().indirect() } else { request.clone() });
        let other = self.asked.insert((queue, head), asked);
        assert!(other.is_none(), "head {head} of queue {queue} is in flight twice");
        head
    }

    /// Shows the device what was put in the available rings, and kicks it.
    pub(crate) fn publish(&mut self) {
        for disk in &mut self.queues {
            disk.queue.publish();
            disk.queue.kick_if_wanted();
        }
    }

    /// Looks at one request that was given back on `queue`, if there is one.
    #[track_caller]
    pub(crate) fn take(&mut self, queue: usize) -> Option<Asked> {
        let disk = &mut self.queues[queue];
        if disk.queue.used_index() == disk.queue.next_unused() {
            return None;
        }
        let (head, done) = disk.watch();
        Some(self.done(queue, head, done))
    }

    /// Looks at all that was given back.
    #[track_caller]
    pub(crate) fn take_all(&mut self) -> Vec<Asked> {
        let mut done = Vec::new();
        for queue in 0..self.queues.len() {
            while let Some(asked) = self.take(queue) {
                done.push(asked);
            }
        }
        done
    }

    /// Waits until all that is in flight has been given back, each time for a call.
    #[track_caller]
    pub(crate) fn wait_for_all(&mut self) {
        for queue in 0..self.queues.len() {
            while self.queues[queue].in_flight() > 0 {
                let (head, done) = self.queues[queue].wait();
                self.done(queue, head, done);
            }
        }
    }

    #[track_caller]
    fn done(&mut self, queue: usize, head: u16, done: Completion) -> Asked {
        let asked = self.asked.remove(&(queue, head));
        let asked =
            asked.unwrap_or_else(|| panic!("head {head} of queue {queue} was not in flight"));
        assert_eq!(done.status, Ok(()), "the status of {asked:?} on queue {queue}");
        if let Asked::Read { sector, expected } = &asked {
            assert_eq!(done.bytes, *expected, "what was read from sector {sector}");
        }
        asked
    }

    /// How many requests are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.asked.len()
    }

    /// Compares the sectors in `image` with what they must have.
    #[track_caller]
    pub(crate) fn check(&self, image: &Image) {
        assert_eq!(self.in_flight(), 0, "requests in flight");
        for sector in self.sectors.clone() {
            let expected = &self.model[self.place(sector, 1)];
            assert_eq!(image.sector(sector), expected.to_vec(), "sector {sector} of the image");
        }
    }

    /// Where the model has `count` sectors from `sector`.
    fn place(&self, sector: u64, count: usize) -> Range<usize> {
        let start = usize::try_from(sector - self.sectors.start).expect("a sector") * SECTOR;
        start..start + count * SECTOR
    }
}

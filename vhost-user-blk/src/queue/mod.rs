// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! One virtqueue of the block device: from a request to operations on the disk's file, and from
//! their results to a status.

mod flushes;
mod ranges;
mod slots;
mod tag;

use std::sync::Arc;

use vhost_user_device::planted::Planted;
use vhost_user_device::{DeviceQueue, Finished, Operation, Request as Chain, Turn, VirtioFeatures};
use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_WRITE_ZEROES,
};

use crate::cache::WriteCache;
use crate::config::Serial;
use crate::disk::{self, Discard, Disk, DiskError, QueueFiles};
use crate::faults::{Fault, Faults};
use crate::request::{Geometry, HEADER_LEN, Outline, Request, SECTOR, STATUS_LEN, Status};

use flushes::Flushes;
use ranges::Ranges;
use slots::Slots;
use tag::Tag;

/// One virtqueue of a [`Blk`](crate::Blk).
#[derive(Debug)]
pub struct BlkQueue {
    index: u16,
    disk: Arc<Disk>,
    /// None of a disk that keeps nothing.
    files: Option<QueueFiles>,
    geometry: Geometry,
    serial: Serial,
    cache: Arc<WriteCache>,
    /// Each write is on stable storage before it is completed, whatever the mode of the cache: the
    /// driver did not ack FLUSH and cannot ask for it later (virtio 1.3, section 5.2.6.2).
    write_through: bool,
    /// There is something to be flushed.
    can_flush: bool,
    flushes: Flushes<Chain>,
    ranges: Slots<Box<Ranges>>,
    faults: Arc<Faults>,
}

/// What a queue has for itself.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) index: u16,
    pub(crate) serial: Serial,
    pub(crate) cache: Arc<WriteCache>,
    /// The features that the driver acked.
    pub(crate) acked: VirtioFeatures,
    pub(crate) faults: Arc<Faults>,
}

impl BlkQueue {
    pub(crate) fn new(disk: &Arc<Disk>, own: Own) -> Self {
        let Own { index, serial, cache, acked, faults } = own;
        Self {
            index,
            files: disk.files(index),
            geometry: geometry(disk, acked),
            serial,
            cache,
            write_through: !acked.has(VIRTIO_BLK_F_FLUSH),
            can_flush: disk.can_flush(),
            flushes: Flushes::default(),
            ranges: Slots::default(),
            faults,
            disk: Arc::clone(disk),
        }
    }

    /// What can be asked of the disk just now.
    fn geometry(&self) -> Geometry {
        Geometry { sectors: sectors(&self.disk), ..self.geometry }
    }

    /// Whether what is written from now on has to be on stable storage before it is completed.
    fn is_durable(&self) -> bool {
        self.can_flush && (self.write_through || self.cache.is_written_through())
    }

    #[inline]
    fn read(&mut self, chain: Chain, offset: u64, len: usize, turn: &mut Turn<'_>) {
        let Some(files) = self.files.as_ref().filter(|_| len != 0) else {
            return succeed(chain, len, turn);
        };
        let tag = Tag::Read { sector: offset / u64::from(SECTOR) };
        let read = Operation::Read { offset, into: 0..len };
        if let Some(finished) = turn.start(&files.data, read, chain, tag.pack()) {
            self.finished(finished, turn);
        }
    }

    fn write(&mut self, chain: Chain, offset: u64, len: usize, turn: &mut Turn<'_>) {
        let Some(files) = self.files.as_ref().filter(|_| len != 0) else {
            return succeed(chain, 0, turn);
        };
        let tag = Tag::Write { sector: offset / u64::from(SECTOR), durable: self.is_durable() };
        let from = HEADER_LEN..HEADER_LEN.saturating_add(len);
        let write = Operation::Write { offset, from };
        if let Some(finished) = turn.start(&files.data, write, chain, tag.pack()) {
            self.finished(finished, turn);
        }
    }

    fn flush(&mut self, chain: Chain, turn: &mut Turn<'_>) {
        if !self.can_flush {
            return succeed(chain, 0, turn);
        }
        if let Err(lost) = self.disk.is_sound() {
            return self.fail(chain, &lost.into(), turn);
        }
        let first = self.flushes.add(chain);
        let mut done = first.and_then(|chain| self.start_flush(chain, turn));
        while let Some(finished) = done {
            done = self.flushed(finished, turn);
        }
    }

    /// Completes the flushes that shared this fdatasync(2), and starts the next one if some wait.
    fn flushed(&mut self, finished: Finished, turn: &mut Turn<'_>) -> Option<Finished> {
        let Finished { request, result, .. } = finished;
        let flushed = self.disk.flushed(result);
        let is_sound = flushed.is_ok();
        self.complete(request, 0, flushed, turn);
        for chain in self.flushes.end() {
            let flushed = if is_sound { Ok(()) } else { Err(DiskError::Lost) };
            self.complete(chain, 0, flushed, turn);
        }
        let next = self.flushes.next()?;
        self.start_flush(next, turn)
    }

    fn start_flush(&mut self, chain: Chain, turn: &mut Turn<'_>) -> Option<Finished> {
        match &self.files {
            Some(files) => turn.start(&files.sync, Operation::Sync, chain, Tag::Flush.pack()),
            None => Some(Finished { request: chain, tag: Tag::Flush.pack(), result: Ok(0) }),
        }
    }

    fn get_id(&mut self, chain: Chain, len: usize, turn: &mut Turn<'_>) {
        let id = self.serial.bytes();
        let said = &id[..len.min(id.len())];
        let written = chain.writable().write(0, said).map_or(0, |()| said.len());
        succeed(chain, written, turn);
    }

    /// Completes a request that the disk has served, after it wrote `data` bytes to it, or could not
    /// serve.
    #[inline]
    fn complete(
        &mut self,
        chain: Chain,
        data: usize,
        result: Result<(), DiskError>,
        turn: &mut Turn<'_>,
    ) {
        match result {
            Ok(()) => succeed(chain, data, turn),
            Err(error) => self.fail(chain, &error.into(), turn),
        }
    }

    #[cold]
    fn fail(&mut self, chain: Chain, fault: &Fault, turn: &mut Turn<'_>) {
        self.faults.note(self.index, fault);
        match fault {
            Fault::Driver(_) => refuse(chain, fault.status(), turn),
            Fault::Host(_) => {
                let written = answer(&chain, fault.status(), 0);
                turn.complete(chain, written);
            }
        }
    }
}

impl DeviceQueue for BlkQueue {
    fn submit(&mut self, chain: Chain, turn: &mut Turn<'_>) {
        match Request::parse(&outline(&chain), &self.geometry()) {
            Ok(Request::Read { offset, len }) => self.read(chain, offset, len, turn),
            Ok(Request::Write { offset, len }) => {
                let offset = if Planted::Sector.is_here() { again(&chain) } else { offset };
                self.write(chain, offset, len, turn);
            }
            Ok(Request::Flush) => self.flush(chain, turn),
            Ok(Request::Discard { len }) => self.discard(chain, len, turn),
            Ok(Request::WriteZeroes { len }) => self.write_zeroes(chain, len, turn),
            Ok(Request::GetId { len }) => self.get_id(chain, len, turn),
            Err(error) => self.fail(chain, &error.into(), turn),
        }
    }

    #[inline]
    fn finished(&mut self, finished: Finished, turn: &mut Turn<'_>) {
        match Tag::unpack(finished.tag) {
            Tag::Read { sector } => {
                let Finished { request, result, .. } = finished;
                let offset = sector.saturating_mul(u64::from(SECTOR));
                let len = request.writable().len().saturating_sub(STATUS_LEN);
                let read = disk::whole(result, offset, len);
                let read = read.map_err(|source| DiskError::Read { offset, len, source });
                self.complete(request, len, read, turn);
            }
            Tag::Write { sector, durable } => {
                let Finished { request, result, .. } = finished;
                let offset = sector.saturating_mul(u64::from(SECTOR));
                let len = request.readable().len().saturating_sub(HEADER_LEN);
                let written = disk::whole(result, offset, len);
                let written = written.map_err(|source| DiskError::Write { offset, len, source });
                if durable && written.is_ok() {
                    // Many writes share one of those, and each learns of every loss.
                    return self.flush(request, turn);
                }
                self.complete(request, 0, written, turn);
            }
            Tag::Flush => {
                let mut done = Some(finished);
                while let Some(finished) = done {
                    done = self.flushed(finished, turn);
                }
            }
            Tag::Range { slot } => self.range_done(slot, finished, turn),
        }
    }

    fn fail(chain: &Chain) -> u32 {
        answer(chain, Status::IoErr, 0)
    }
}

/// Completes a request that was served, after `data` bytes were written to it.
#[inline]
fn succeed(chain: Chain, data: usize, turn: &mut Turn<'_>) {
    let written = answer(&chain, Status::Ok, data);
    turn.complete(chain, written);
}

/// Completes a request of whose data not a byte was touched, however many there are.
fn refuse(mut chain: Chain, status: Status, turn: &mut Turn<'_>) {
    let end = chain.writable().len();
    chain.wrote_only(end.saturating_sub(STATUS_LEN)..end);
    let written = answer(&chain, status, 0);
    turn.complete(chain, written);
}

/// Ends the chain with its status, after `data` bytes of data, and returns how many bytes were
/// written to it.
#[inline]
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

/// What a driver that acked these features can ask of the disk.
fn geometry(disk: &Disk, acked: VirtioFeatures) -> Geometry {
    let writable = !disk.is_read_only();
    let discard = writable && disk.discard() == Discard::Unmap;
    Geometry {
        sectors: sectors(disk),
        block_size: disk.limits().block_size,
        read_only: disk.is_read_only(),
        discard: discard && acked.has(VIRTIO_BLK_F_DISCARD),
        write_zeroes: writable && acked.has(VIRTIO_BLK_F_WRITE_ZEROES),
    }
}

/// The disk's length just now, in sectors.
#[inline]
pub(crate) fn sectors(disk: &Disk) -> u64 {
    disk.size() / u64::from(SECTOR)
}

/// Where a write goes, in bytes, by what its header says now: nothing is checked, and only a bug that
/// is planted asks.
#[cold]
fn again(chain: &Chain) -> u64 {
    // As if there were something to do in between.
    std::thread::yield_now();
    let mut sector = [0; 8];
    let read = chain.readable().read(8, &mut sector);
    read.map_or(0, |()| u64::from_le_bytes(sector).wrapping_mul(u64::from(SECTOR)))
}

/// What the parser looks at of a chain.
#[inline]
fn outline(chain: &Chain) -> Outline {
    let (readable, writable) = (chain.readable(), chain.writable());
    let mut header = [0; HEADER_LEN];
    let header = readable.read(0, &mut header).is_ok().then_some(header);
    Outline { header, readable: readable.len(), writable: writable.len() }
}

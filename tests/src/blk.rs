// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Requests to a virtio block device (virtio 1.3, section 5.2.6), in any shape.

use std::collections::HashMap;

use virtio_bindings::bindings::virtio_blk::{
    VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_T_FLUSH,
    VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT,
};

use crate::bytes::Bytes;
use crate::driver::{Queue, Segment, Used};
use crate::image::SECTOR;
use crate::memory::Buffer;

mod config;
mod extents;

pub use config::{BlkConfig, WRITEBACK_AT};
pub use extents::{Extent, UNMAP};

/// The length of the answer to GET_ID.
pub const ID_LEN: usize = 20;

/// The length of the header.
const HEADER: usize = 16;

/// What is in the status byte before the device writes it.
const UNTOUCHED: u8 = 0xff;

/// How a request ended, if not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// VIRTIO_BLK_S_IOERR.
    IoErr,
    /// VIRTIO_BLK_S_UNSUPP.
    Unsupported,
    /// The chain was given back, but the device wrote no status.
    Untouched,
    /// A number that the specification doesn't have.
    Unknown(u8),
}

/// A request that was given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// How it ended.
    pub status: Result<(), Status>,
    /// The used ring's word on how many bytes were written.
    pub written: u32,
    /// The device-writable bytes before the status.
    pub bytes: Bytes,
}

/// A request to be submitted.
///
/// It is a readable part, the header and what is to be written, and a writable part, what is to be
/// read and the status. Each part can be cut into descriptors of any lengths.
#[derive(Clone, Debug)]
pub struct Request {
    readable: Vec<u8>,
    writable: usize,
    readable_cuts: Vec<usize>,
    writable_cuts: Vec<usize>,
    indirect: bool,
}

impl Request {
    /// A request of the type `kind`, with `data` after the header and room for `room` bytes before
    /// the status.
    pub fn new(kind: u32, sector: u64, data: &[u8], room: usize) -> Self {
        let mut readable = kind.to_le_bytes().to_vec();
        readable.extend([0; 4]);
        readable.extend(sector.to_le_bytes());
        readable.extend(data);
        let mut request = Self {
            readable,
            writable: room + 1,
            readable_cuts: vec![HEADER],
            writable_cuts: Vec::new(),
            indirect: false,
        };
        if !data.is_empty() {
            request.readable_cuts.push(data.len());
        }
        if room > 0 {
            request.writable_cuts.push(room);
        }
        request.writable_cuts.push(1);
        request
    }

    /// Reads `count` sectors.
    pub fn read(sector: u64, count: usize) -> Self {
        Self::new(VIRTIO_BLK_T_IN, sector, &[], count * SECTOR)
    }

    /// Writes `data`.
    pub fn write(sector: u64, data: &[u8]) -> Self {
        Self::new(VIRTIO_BLK_T_OUT, sector, data, 0)
    }

    /// Asks that what was written before be on the disk.
    pub fn flush() -> Self {
        Self::new(VIRTIO_BLK_T_FLUSH, 0, &[], 0)
    }

    /// Asks for the device's name, of [`ID_LEN`] bytes.
    pub fn id() -> Self {
        Self::new(VIRTIO_BLK_T_GET_ID, 0, &[], ID_LEN)
    }

    /// Cuts the readable part into descriptors of these lengths.
    #[track_caller]
    pub fn cut_readable(mut self, lengths: &[usize]) -> Self {
        assert_eq!(lengths.iter().sum::<usize>(), self.readable.len(), "all of the part");
        self.readable_cuts = lengths.to_vec();
        self
    }

    /// Cuts the writable part, with the status, into descriptors of these lengths.
    #[track_caller]
    pub fn cut_writable(mut self, lengths: &[usize]) -> Self {
        assert_eq!(lengths.iter().sum::<usize>(), self.writable, "all of the part");
        self.writable_cuts = lengths.to_vec();
        self
    }

    /// Whether it has data for the device.
    pub fn is_write(&self) -> bool {
        self.readable.len() > HEADER
    }

    /// Puts its descriptors in a table of its own.
    pub fn indirect(mut self) -> Self {
        self.indirect = true;
        self
    }
}

/// A queue of a block device.
#[derive(Debug)]
pub struct BlkQueue {
    /// The virtqueue beneath.
    pub queue: Queue,
    in_flight: HashMap<u16, InFlight>,
}

#[derive(Debug)]
struct InFlight {
    _readable: Buffer,
    writable: Buffer,
}

/// One by one.
impl BlkQueue {
    /// Sends block requests through `queue`.
    pub fn new(queue: Queue) -> Self {
        Self { queue, in_flight: HashMap::new() }
    }

    /// Reads `count` sectors.
    #[track_caller]
    pub fn read(&mut self, sector: u64, count: usize) -> Result<Bytes, Status> {
        let done = self.request(&Request::read(sector, count));
        done.status.map(|()| done.bytes)
    }

    /// Writes `data`.
    #[track_caller]
    pub fn write(&mut self, sector: u64, data: &[u8]) -> Result<(), Status> {
        self.request(&Request::write(sector, data)).status
    }

    /// Asks that what was written before be on the disk.
    #[track_caller]
    pub fn flush(&mut self) -> Result<(), Status> {
        self.request(&Request::flush()).status
    }

    /// Asks for the device's name; ends at the first zero byte.
    #[track_caller]
    pub fn id(&mut self) -> Result<String, Status> {
        let done = self.request(&Request::id());
        let name = done.bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        done.status.map(|()| String::from_utf8(name.to_vec()).expect("a name in UTF-8"))
    }

    /// Submits one request and waits for it. Nothing else may be in flight.
    #[track_caller]
    pub fn request(&mut self, request: &Request) -> Completion {
        let head = self.submit(request);
        let (done, completion) = self.wait();
        assert_eq!(done, head, "the chain that the device gave back");
        completion
    }
}

/// Many in flight.
impl BlkQueue {
    /// Makes one request available, and kicks the device if it wants that.
    pub fn submit(&mut self, request: &Request) -> u16 {
        self.submit_all([request])[0]
    }

    /// Makes `requests` available at once, with one kick at most; returns their heads.
    pub fn submit_all<'r>(&mut self, requests: impl IntoIterator<Item = &'r Request>) -> Vec<u16> {
        let heads = requests.into_iter().map(|request| self.add(request)).collect();
        self.queue.publish();
        self.queue.kick_if_wanted();
        heads
    }

    /// Puts a request in the available ring, without telling the device about it.
    pub fn add(&mut self, request: &Request) -> u16 {
        let readable = self.queue.memory().buffer(request.readable.len());
        let writable = self.queue.memory().buffer(request.writable);
        self.add_in(request, readable, writable)
    }

    /// [`BlkQueue::add`], with the two parts in these buffers.
    pub fn add_in(&mut self, request: &Request, readable: Buffer, writable: Buffer) -> u16 {
        readable.write(&request.readable);
        writable.write(&vec![UNTOUCHED; request.writable]);
        let mut segments = cut(readable.address(), &request.readable_cuts, Segment::readable);
        segments.extend(cut(writable.address(), &request.writable_cuts, Segment::writable));
        let head = if request.indirect {
            self.queue.add_indirect(&segments)
        } else {
            self.queue.add(&segments)
        };
        self.in_flight.insert(head, InFlight { _readable: readable, writable });
        head
    }

    /// The next request that the device gives back, and its head.
    #[track_caller]
    pub fn wait(&mut self) -> (u16, Completion) {
        let used = self.queue.wait();
        self.completion(used)
    }

    /// [`BlkQueue::wait`], without any wish for a call.
    #[track_caller]
    pub fn watch(&mut self) -> (u16, Completion) {
        let used = self.queue.watch();
        self.completion(used)
    }

    #[track_caller]
    fn completion(&mut self, used: Used) -> (u16, Completion) {
        let Some(request) = self.in_flight.remove(&used.head) else {
            panic!("the device gave back a chain that was not in flight: {used:?}");
        };
        let mut bytes: Vec<u8> = request.writable.bytes().into();
        let status = bytes.pop().expect("the status of a request");
        let status = match u32::from(status) {
            VIRTIO_BLK_S_OK => Ok(()),
            VIRTIO_BLK_S_IOERR => Err(Status::IoErr),
            VIRTIO_BLK_S_UNSUPP => Err(Status::Unsupported),
            _ if status == UNTOUCHED => Err(Status::Untouched),
            _ => Err(Status::Unknown(status)),
        };
        (used.head, Completion { status, written: used.len, bytes: bytes.into() })
    }

    /// How many requests are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }
}

/// Segments of these `lengths`, one after the other from `address`.
fn cut(address: u64, lengths: &[usize], segment: impl Fn(u64, usize) -> Segment) -> Vec<Segment> {
    let mut at = address;
    let mut next = |len: &usize| {
        let start = at;
        at += u64::try_from(*len).expect("a length in 64 bits");
        segment(start, *len)
    };
    lengths.iter().map(&mut next).collect()
}

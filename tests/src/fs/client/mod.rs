// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A driver of a file system device: any bytes as a request, and one call for each request as a
//! kernel would send it.
//!
//! A call of a request that failed returns the errno. Those calls check what each reply must be: its
//! length in the used ring is the one in its header, its number is the request's, and a failed one
//! has nothing behind the header.

mod attributes;
mod files;
mod folders;
mod locks;
mod names;
mod replies;
mod session;

use std::collections::HashMap;

use crate::bytes::Bytes;
use crate::driver::{Queue, Segment, Used};
use crate::frontend::Frontend;
use crate::memory::Buffer;

use super::wire::{Fields, Header, IN_HEADER, OUT_HEADER};

pub use attributes::{Change, Time};
pub use files::Range;
pub use locks::Lock;
pub use names::New;
pub use replies::{Attr, Dirent, Entry, InitReply, Opened, Statfs, Statx};
pub use session::GUEST;

/// The number of descriptors of each queue.
const SIZE: u16 = 128;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The process.
    pub pid: u32,
}

/// Root.
pub const SUPERUSER: Caller = Caller { uid: 0, gid: 0, pid: 1 };

/// A request that was submitted.
#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy)]
#[must_use = "its reply is still to come"]
pub struct Ticket {
    queue: usize,
    head: u16,
    unique: u64,
}

/// What a device replies to a request, or its errno.
pub type Reply<T> = Result<T, i32>;

/// The queues of a file system device, and what its driver knows.
#[derive(Debug)]
pub struct FsClient {
    /// The virtqueues: the high-priority one first, then those of requests.
    pub queues: Vec<Queue>,
    /// The queue on which requests go from now on, but for FORGET: 1 at first.
    pub on: usize,
    /// Who asks from now on: root at first.
    pub caller: Caller,
    /// The groups that are sent with a request that makes something, if CREATE_SUPP_GROUP was agreed.
    pub groups: Vec<u32>,
    /// What INIT agreed on.
    agreed: u64,
    unique: u64,
    in_flight: HashMap<(usize, u16), (Option<Buffer>, Option<Buffer>)>,
    done: HashMap<(usize, u16), Bytes>,
}

/// Starting.
impl FsClient {
    /// Starts the high-priority queue and `requests` request queues, and says nothing yet.
    #[track_caller]
    pub fn start(frontend: &mut Frontend, requests: u8) -> Self {
        Self::of((0..=requests).map(|index| frontend.queue(index, SIZE)).collect())
    }

    /// On queues that are served already.
    pub fn of(queues: Vec<Queue>) -> Self {
        Self {
            queues,
            on: 1,
            caller: SUPERUSER,
            groups: Vec::new(),
            agreed: 0,
            unique: 0,
            in_flight: HashMap::new(),
            done: HashMap::new(),
        }
    }
}

/// Bytes.
impl FsClient {
    /// Sends `request`, whatever it is, with room for `writable` bytes; what was written there.
    #[track_caller]
    pub fn call(&mut self, request: &[u8], writable: usize) -> Bytes {
        let ticket = self.submit(self.on, request, writable);
        self.wait(ticket)
    }

    /// Sends `request` on the queue `queue`, and waits for nothing.
    #[track_caller]
    pub fn submit(&mut self, queue: usize, request: &[u8], writable: usize) -> Ticket {
        let cut = request.len().min(IN_HEADER);
        let lengths = [cut, request.len() - cut];
        self.submit_cut(queue, request, &lengths, &[writable])
    }

    /// The same with the readable and the writable part in descriptors of these lengths; those of no
    /// bytes are left out.
    #[track_caller]
    pub fn submit_cut(
        &mut self,
        queue: usize,
        request: &[u8],
        readable: &[usize],
        writable: &[usize],
    ) -> Ticket {
        let memory = self.queues[queue].memory().clone();
        let room: usize = writable.iter().sum();
        let buffer = |len: usize| (len > 0).then(|| memory.buffer(len));
        let (from, to) = (buffer(request.len()), buffer(room));
        let mut segments = Vec::new();
        if let Some(from) = &from {
            from.write(request);
            segments.extend(cut(from, readable, Segment::readable));
        }
        if let Some(to) = &to {
            to.write(&vec![0xee; room]);
            segments.extend(cut(to, writable, Segment::writable));
        }
        let head = self.queues[queue].submit(&segments);
        self.in_flight.insert((queue, head), (from, to));
        let unique = request.get(8..16).map_or(0, |bytes| Fields::of(bytes).u64());
        Ticket { queue, head, unique }
    }

    /// Waits for the request, and returns what was written; of others that end meanwhile the replies
    /// are kept.
    #[track_caller]
    pub fn wait(&mut self, ticket: Ticket) -> Bytes {
        loop {
            if let Some(done) = self.done.remove(&(ticket.queue, ticket.head)) {
                return done;
            }
            let used = self.queues[ticket.queue].wait();
            self.keep(ticket.queue, used);
        }
    }

    /// Whether the request has ended.
    #[track_caller]
    pub fn is_done(&mut self, ticket: Ticket) -> bool {
        while let Some(used) = self.queues[ticket.queue].used() {
            self.keep(ticket.queue, used);
        }
        self.done.contains_key(&(ticket.queue, ticket.head))
    }

    #[track_caller]
    fn keep(&mut self, queue: usize, used: Used) {
        let key = (queue, used.head);
        let Some((_, to)) = self.in_flight.remove(&key) else {
            panic!("the device gave back a chain that was not in flight: {used:?}");
        };
        let bytes: Vec<u8> = to.map(|to| to.bytes().into()).unwrap_or_default();
        let len = usize::try_from(used.len).expect("a length of our own");
        let written = bytes.get(..len);
        let written = written.unwrap_or_else(|| panic!("{len} bytes in room for {}", bytes.len()));
        self.done.insert(key, written.to_vec().into());
    }
}

/// Requests.
impl FsClient {
    /// A request as its kernel sends it: a header with the length of it all, and `body`.
    pub fn message(&mut self, opcode: u32, node: u64, body: &[u8]) -> Vec<u8> {
        self.message_with(opcode, node, body, &[])
    }

    /// The same with `extension` behind the body, of a multiple of 8 bytes.
    pub fn message_with(
        &mut self,
        opcode: u32,
        node: u64,
        body: &[u8],
        extension: &[u8],
    ) -> Vec<u8> {
        self.unique += 2;
        let len = IN_HEADER + body.len() + extension.len();
        let len = u32::try_from(len).expect("the length of a request");
        let extensions = u16::try_from(extension.len() / 8).expect("the length of an extension");
        let (Caller { uid, gid, pid }, unique) = (self.caller, self.unique);
        let header = Header { len, opcode, unique, node, uid, gid, pid, extensions };
        let mut bytes = header.bytes();
        bytes.extend(body);
        bytes.extend(extension);
        bytes
    }

    /// Sends a request with room for a reply of `room` bytes behind its header, and returns those
    /// that came.
    ///
    /// # Errors
    /// The errno in the reply.
    #[track_caller]
    pub fn request(&mut self, opcode: u32, node: u64, body: &[u8], room: usize) -> Reply<Bytes> {
        let ticket = self.begin(opcode, node, body, room);
        self.end(ticket)
    }

    /// Sends a request as [`FsClient::request`] does, and waits for nothing.
    #[track_caller]
    pub fn begin(&mut self, opcode: u32, node: u64, body: &[u8], room: usize) -> Ticket {
        let message = self.message(opcode, node, body);
        self.submit(self.on, &message, OUT_HEADER + room)
    }

    /// Waits for the reply to a request.
    ///
    /// # Errors
    /// The errno in it.
    #[track_caller]
    pub fn end(&mut self, ticket: Ticket) -> Reply<Bytes> {
        let reply = self.wait(ticket);
        parse(&reply, ticket.unique)
    }
}

/// What a reply to the request `unique` has in it.
///
/// # Errors
/// The errno in its header.
///
/// # Panics
/// When it is not such a reply.
#[track_caller]
pub fn parse(reply: &[u8], unique: u64) -> Reply<Bytes> {
    assert!(reply.len() >= OUT_HEADER, "a reply of {} bytes: {reply:?}", reply.len());
    let mut fields = Fields::of(reply);
    let (len, error, answered) = (fields.u32(), fields.u32().cast_signed(), fields.u64());
    assert_eq!(usize::try_from(len), Ok(reply.len()), "the length in the header of a reply");
    assert_eq!(answered, unique, "the number of the request in its reply");
    assert!((-511..=0).contains(&error), "{error} as the error of a reply");
    if error == 0 {
        return Ok(fields.rest().to_vec().into());
    }
    assert!(fields.is_empty(), "bytes behind the error {error} of a reply");
    Err(-error)
}

fn cut(
    buffer: &Buffer,
    lengths: &[usize],
    segment: impl Fn(u64, usize) -> Segment,
) -> Vec<Segment> {
    let mut at = buffer.address();
    let mut next = |len: &usize| {
        let start = at;
        at += u64::try_from(*len).expect("a length in 64 bits");
        segment(start, *len)
    };
    let segments = lengths.iter().filter(|len| **len > 0).map(&mut next).collect();
    assert_eq!(at - buffer.address(), u64::try_from(buffer.len()).expect("64 bits"), "all bytes");
    segments
}

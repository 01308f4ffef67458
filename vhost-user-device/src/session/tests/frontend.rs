// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A front end and a driver for the tests: the other end of a session's socket, and split rings
//! in a memfd. One thread plays both sides: while it waits it lets the session have its turns.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::{NEED_REPLY, REPLY, VERSION, longs, message, request::*, words};
use crate::Device;
use crate::session::{Backend, Interest, Session};
use crate::sys::{self, Eventfd, Wait};

/// Nothing takes that long unless it never comes.
const DEADLINE: Duration = Duration::from_secs(20);

const PROTOCOL_FEATURES: u64 = 1 << 30;
const VERSION_1: u64 = 1 << 32;
const REPLY_ACK: u64 = 1 << 3;

/// How far user addresses are from guest addresses, which are offsets in the memfd.
const USER: u64 = 0x7f00_0000_0000;
const LEN: u64 = 0x2_0000;
/// Descriptors of a ring; a request takes two of them.
const SIZE: u16 = 8;

/// The session and the front end's socket.
pub(super) struct Link<'b, D: Device> {
    pub(super) session: Session<'b, D>,
    pub(super) front: UnixStream,
}

/// Guest memory with a ring for each of three queues.
pub(super) struct Guest {
    file: File,
}

/// The descriptors of a queue.
pub(super) struct Signals {
    pub(super) kick: Eventfd,
    pub(super) call: Eventfd,
    pub(super) err: Eventfd,
}

impl<'b, D: Device> Link<'b, D> {
    /// A connection that has said nothing yet.
    pub(super) fn new(backend: &'b mut Backend<D>) -> Self {
        let (front, back) = UnixStream::pair().expect("a pair of sockets");
        Self { session: backend.connect(back), front }
    }

    /// A connection with REPLY_ACK and memory.
    pub(super) fn negotiated(backend: &'b mut Backend<D>, guest: &Guest) -> Self {
        let link = Self::new(backend);
        link.tell(SET_FEATURES, &longs(&[PROTOCOL_FEATURES | VERSION_1]));
        link.tell(SET_PROTOCOL_FEATURES, &longs(&[REPLY_ACK]));
        let payload = [words(&[1, 0]), region()].concat();
        link.send(SET_MEM_TABLE, VERSION, &payload, &[guest.file.as_fd()]);
        link
    }

    pub(super) fn send(&self, request: u32, flags: u32, payload: &[u8], fds: &[BorrowedFd<'_>]) {
        let bytes = message(request, flags, payload);
        let sent = sys::send_with_fds(self.front.as_fd(), &bytes, fds).expect("sent");
        assert_eq!(sent, bytes.len());
    }

    /// Sends a message that is not answered.
    pub(super) fn tell(&self, request: u32, payload: &[u8]) {
        self.send(request, VERSION, payload, &[]);
    }

    /// Sends a message and waits for its reply's payload.
    pub(super) fn ask(&mut self, request: u32, payload: &[u8]) -> Vec<u8> {
        self.send(request, VERSION | NEED_REPLY, payload, &[]);
        self.reply(request)
    }

    /// Sends a message and waits until it was applied.
    pub(super) fn apply(&mut self, request: u32, payload: &[u8]) {
        assert_eq!(self.ask(request, payload), longs(&[0]), "message {request} was refused");
    }

    /// Waits for the payload of the reply to `request`.
    pub(super) fn reply(&mut self, request: u32) -> Vec<u8> {
        let front = self.front.try_clone().expect("a descriptor");
        self.wait_for(front.as_fd());
        let mut header = [0; 12];
        self.front.read_exact(&mut header).expect("a header");
        let (head, len) = header.split_at(8);
        assert_eq!(head, words(&[request, VERSION | REPLY]));
        let len = u32::from_ne_bytes(len.try_into().expect("four bytes"));
        let mut payload = vec![0; len as usize];
        self.front.read_exact(&mut payload).expect("a payload");
        payload
    }

    /// Sets a queue up and starts it at `base`, enabled; returns when it runs.
    pub(super) fn start(&mut self, queue: u32, base: u32) -> Signals {
        let signals = Signals::new();
        self.configure(queue, base);
        self.give(SET_VRING_CALL, queue, &signals.call);
        self.give(SET_VRING_ERR, queue, &signals.err);
        self.give(SET_VRING_KICK, queue, &signals.kick);
        self.apply(SET_VRING_ENABLE, &words(&[queue, 1]));
        signals
    }

    /// Says a queue's size, base and addresses.
    pub(super) fn configure(&mut self, queue: u32, base: u32) {
        self.tell(SET_VRING_NUM, &words(&[queue, u32::from(SIZE)]));
        self.tell(SET_VRING_BASE, &words(&[queue, base]));
        let [descriptors, avail, used, _] = places(queue).map(|offset| USER + offset);
        let addresses = longs(&[descriptors, used, avail, 0]);
        self.tell(SET_VRING_ADDR, &[words(&[queue, 0]), addresses].concat());
    }

    /// Moves a queue's used ring by so many bytes.
    pub(super) fn move_used_ring(&mut self, queue: u32, by: u64) {
        let [descriptors, avail, used, _] = places(queue).map(|offset| USER + offset);
        let addresses = longs(&[descriptors, used + by, avail, 0]);
        let payload = [words(&[queue, 0]), addresses].concat();
        self.send(SET_VRING_ADDR, VERSION | NEED_REPLY, &payload, &[]);
        self.session.on_socket();
    }

    /// Sends one of the messages that give a queue a descriptor.
    pub(super) fn give(&self, request: u32, queue: u32, fd: &Eventfd) {
        self.send(request, VERSION, &longs(&[u64::from(queue)]), &[fd.as_fd()]);
    }

    /// Adds the guest's memory as a slot.
    pub(super) fn add_memory(&mut self, guest: &Guest) {
        let payload = [longs(&[0]), region()].concat();
        self.send(ADD_MEM_REG, VERSION | NEED_REPLY, &payload, &[guest.file.as_fd()]);
        assert_eq!(self.reply(ADD_MEM_REG), longs(&[0]));
    }

    /// Removes the guest's memory.
    pub(super) fn remove_memory(&mut self) {
        self.apply(REM_MEM_REG, &[longs(&[0]), region()].concat());
    }

    /// Lets the session have its turns until `fd` is readable.
    pub(super) fn wait_for(&mut self, fd: BorrowedFd<'_>) {
        self.turn_until(Some(fd), |_| false);
    }

    /// Lets the session have its turns until the condition holds.
    pub(super) fn wait_until(&mut self, condition: impl Fn(&Session<'b, D>) -> bool) {
        self.turn_until(None, condition);
    }

    fn turn_until(
        &mut self,
        fd: Option<BorrowedFd<'_>>,
        condition: impl Fn(&Session<'b, D>) -> bool,
    ) {
        let deadline = Instant::now() + DEADLINE;
        while !condition(&self.session) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "nothing came: {:?}", self.session.phase());
            let session = &mut self.session;
            let wanted = session.interest() == Interest::Readable;
            let watched = [fd, Some(session.acks()), wanted.then(|| session.socket())];
            let [awaited, acks, socket] = sys::wait_readable(watched, Some(left)).expect("poll");
            if awaited != Wait::Nothing {
                return;
            }
            if acks != Wait::Nothing {
                session.on_acks();
            }
            if socket != Wait::Nothing {
                session.on_socket();
            }
        }
    }
}

impl Signals {
    pub(super) fn new() -> Self {
        let [kick, call, err] = [(); 3].map(|()| Eventfd::new().expect("an eventfd"));
        Self { kick, call, err }
    }
}

impl Guest {
    pub(super) fn new() -> Self {
        let file = sys::memfd("guest").expect("memfd");
        file.set_len(LEN).expect("truncate");
        Self { file }
    }

    /// Makes the request with this index available: these bytes, and room for as many.
    pub(super) fn offer(&self, queue: u32, index: u16, bytes: &[u8]) {
        let [descriptors, avail, _, _] = places(queue);
        let (head, data) = (head(index), data(queue, index));
        let len = u32::try_from(bytes.len()).expect("few bytes");
        // NEXT, then WRITE.
        let readable = descriptor(data, len, 1, head + 1);
        let writable = descriptor(data + 0x80, len, 2, 0);
        self.write(data, bytes);
        self.write(descriptors + 16 * u64::from(head), &[readable, writable].concat());
        self.write(avail + 4 + 2 * u64::from(index % SIZE), &head.to_le_bytes());
        self.set_avail_idx(queue, index.wrapping_add(1));
    }

    pub(super) fn set_avail_idx(&self, queue: u32, index: u16) {
        let [_, avail, _, _] = places(queue);
        self.write(avail + 2, &index.to_le_bytes());
    }

    /// `used.idx`: how many requests were used since the memory was made.
    pub(super) fn used(&self, queue: u32) -> u16 {
        let [_, _, used, _] = places(queue);
        u16::from_le_bytes(self.read(used + 2))
    }

    /// Head and length of a used element.
    pub(super) fn used_element(&self, queue: u32, index: u16) -> (u32, u32) {
        let [_, _, used, _] = places(queue);
        let at = used + 4 + 8 * u64::from(index % SIZE);
        (u32::from_le_bytes(self.read(at)), u32::from_le_bytes(self.read(at + 4)))
    }

    /// The first four bytes of the answer to a request.
    pub(super) fn answer(&self, queue: u32, index: u16) -> [u8; 4] {
        self.read(data(queue, index) + 0x80)
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        self.file.write_all_at(bytes, offset).expect("written");
    }

    fn read<const N: usize>(&self, offset: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, offset).expect("read");
        bytes
    }
}

/// How often an eventfd was signalled since it was last asked.
pub(super) fn count(fd: &Eventfd) -> u64 {
    if sys::wait_readable([Some(fd.as_fd())], Some(Duration::ZERO)).expect("poll")
        == [Wait::Nothing]
    {
        return 0;
    }
    let mut bytes = [0; 8];
    let mut file = File::from(fd.as_fd().try_clone_to_owned().expect("a descriptor"));
    file.read_exact(&mut bytes).expect("a count");
    u64::from_ne_bytes(bytes)
}

/// GET_VRING_BASE's reply.
pub(super) fn base(queue: u32, base: u32) -> Vec<u8> {
    words(&[queue, base])
}

fn region() -> Vec<u8> {
    longs(&[0, LEN, USER, 0])
}

/// Offsets of a queue's descriptors, available ring, used ring and data.
fn places(queue: u32) -> [u64; 4] {
    [0, 0x1000, 0x2000, 0x3000].map(|part| u64::from(queue) * 0x8000 + part)
}

fn head(index: u16) -> u16 {
    2 * index % SIZE
}

fn data(queue: u32, index: u16) -> u64 {
    let [_, _, _, data] = places(queue);
    data + 0x100 * u64::from(head(index))
}

fn descriptor(address: u64, len: u32, flags: u16, next: u16) -> Vec<u8> {
    let fields = [flags, next].into_iter().flat_map(u16::to_le_bytes);
    let start = address.to_le_bytes().into_iter().chain(len.to_le_bytes());
    start.chain(fields).collect()
}

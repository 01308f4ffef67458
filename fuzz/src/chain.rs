// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! FUSE requests as chains of a virtqueue in hostile memory: the input says what a client asks for, how that
//! is cut into descriptors and where these are, one over the other if it likes, and what is written over
//! them. Whatever it is, no byte changes but those that the driver has said to be writable.

use std::cell::OnceCell;
use std::ops::Range;
use std::rc::Rc;

use vhost_user_device::Request;
use vhost_user_device::fuzz::ring::{Memory, Pieces, Place, Queue, Region, Taken, pieces};
use vhost_user_fs_lib::virtio::fuzz::serve;
use vhost_user_fs_lib::{Limits, Outcome, Server};

use crate::fuse::judge::Judge;
use crate::fuse::{init, request};
use crate::input::Input;
use crate::ring::file;

/// Nothing of interest takes longer.
const MOST_REQUESTS: usize = 60;

/// Bytes of guest memory.
const LEN: usize = 0x6000;
/// Where buffers may begin.
const BUFFERS: u64 = 0x1000;
const SIZE: u16 = 64;
const PLACE: Place = Place { descriptors: 0, avail: 0x400, used: 0x800, size: SIZE };

const NEXT: u16 = 1;
const WRITE: u16 = 2;

/// How long pieces may be.
const CUTS: [usize; 6] = [LEN, LEN, 40, 16, 56, 7];

/// The driver's side.
struct Driver {
    memory: Rc<Memory>,
    mapped: Pieces,
    available: u16,
}

/// Plays one input.
pub fn play(input: &[u8]) {
    let mut input = Input::new(input);
    let mut driver = Driver::new();
    let server = Server::new(Judge::new(input.u64()), Limits::default());
    let mut queue = Queue::new(0, None);
    assert!(queue.install(&driver.memory, Some(PLACE), false, None), "a ring of zeroes");
    let begin = init(&mut input);
    driver.offer(&begin, 80, &mut Input::new(&[]));
    for _ in 0..MOST_REQUESTS {
        if !driver.serve(&server, &mut queue) || input.is_empty() {
            break;
        }
        let (request, room) = request(server.file_system(), &mut input);
        driver.offer(&request, room, &mut input);
        if input.u8() < 32 {
            let at = input.u16();
            driver.memory.write(at.into(), &input.bytes::<8>());
        }
    }
    server.end();
}

impl Driver {
    fn new() -> Self {
        thread_local! {
            static MEMORY: OnceCell<Rc<Memory>> = const { OnceCell::new() };
        }
        let make = || {
            let region = Region { guest: 0, len: LEN as u64, offset: 0 };
            Rc::new(Memory::of(vec![(region, file(LEN as u64))]))
        };
        let memory = MEMORY.with(|memory| Rc::clone(memory.get_or_init(make)));
        memory.clear();
        let mapped = memory.pieces();
        Self { memory, mapped, available: 0 }
    }

    /// Makes a chain of a request and the room for its answer available.
    fn offer(&mut self, request: &[u8], room: usize, input: &mut Input<'_>) {
        let request = &request[..request.len().min(LEN / 2)];
        let mut chain = Vec::new();
        let from = BUFFERS + u64::from(input.u16() % 0x1000);
        self.memory.write(from, request);
        cut(from, request.len(), input.pick(&CUTS), 0, &mut chain);
        let to = 0x5000_u64.wrapping_sub(u64::from(input.u16() % 0x4000));
        cut(to, room.min(LEN / 4), input.pick(&CUTS), WRITE, &mut chain);
        chain.truncate(usize::from(SIZE));
        let last = chain.len().saturating_sub(1);
        for (slot, (address, len, flags)) in chain.into_iter().enumerate() {
            let next = u16::try_from(slot + 1).expect("a short chain");
            let flags = if slot == last { flags } else { flags | NEXT };
            let mut descriptor = address.to_le_bytes().to_vec();
            descriptor.extend(len.to_le_bytes());
            descriptor.extend([flags, next].into_iter().flat_map(u16::to_le_bytes));
            self.memory.write(PLACE.descriptors + 16 * slot as u64, &descriptor);
        }
        // Its head is descriptor 0.
        self.memory.write(PLACE.avail + 4 + 2 * u64::from(self.available % SIZE), &[0, 0]);
        self.available = self.available.wrapping_add(1);
        self.memory.write(PLACE.avail + 2, &self.available.to_le_bytes());
    }

    /// Has all be served that is available; `false` if the ring is broken.
    fn serve(&self, server: &Server<Judge>, queue: &mut Queue) -> bool {
        for _ in 0..SIZE {
            match queue.pop(true, SIZE.into()) {
                Taken::Request(request) => {
                    let written = self.answer(server, &request);
                    queue.complete(request, u32::try_from(written).expect("a short answer"));
                }
                Taken::Bad(_) => {}
                Taken::Nothing => break,
                Taken::Broken => return false,
            }
        }
        queue.publish();
        true
    }

    /// Has one request served. Returns how many bytes of its answer were written.
    fn answer(&self, server: &Server<Judge>, request: &Request) -> usize {
        let before = self.memory.read::<LEN>(0);
        let judge = server.file_system();
        let mut written = 0;
        for may_wait in [false, true] {
            judge.begin_call();
            let outcome = serve(server, request, may_wait);
            let given = judge.end_call();
            match outcome {
                Outcome::Done(done) => {
                    let room = request.writable().len();
                    assert!(done <= room, "{done} bytes in {room}");
                    assert!(done > 0 || given.count() == 0, "given, and nobody hears of it");
                    written = done;
                    break;
                }
                Outcome::WouldWait => assert!(!may_wait, "it may wait, and does not"),
                Outcome::Locked => break,
            }
        }
        self.judge(&before, request);
        written
    }

    /// Nothing has changed but what is writable.
    fn judge(&self, before: &[u8; LEN], request: &Request) {
        let after = self.memory.read::<LEN>(0);
        let (start, _) = self.mapped[0];
        let writable: Vec<Range<usize>> = pieces(request.writable())
            .into_iter()
            .map(|(address, len)| address - start..address - start + len)
            .collect();
        // Most of it is the same.
        const CHUNK: usize = 256;
        let chunks = before.chunks(CHUNK).zip(after.chunks(CHUNK)).enumerate();
        for (number, (before, after)) in chunks.filter(|(_, (before, after))| before != after) {
            for (at, (before, after)) in (number * CHUNK..).zip(before.iter().zip(after)) {
                let may = before == after || writable.iter().any(|range| range.contains(&at));
                assert!(may, "byte {at:#x} is {after:#x} now, and not writable: {writable:x?}");
            }
        }
    }
}

/// Adds descriptors of at most `most` bytes.
fn cut(start: u64, len: usize, most: usize, flags: u16, chain: &mut Vec<(u64, u32, u16)>) {
    for skip in (0..len).step_by(most) {
        let piece = u32::try_from(most.min(len - skip)).expect("a short piece");
        chain.push((start + skip as u64, piece, flags));
    }
}

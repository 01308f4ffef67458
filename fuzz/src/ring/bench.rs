// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A virtqueue and its surroundings, and what must hold whatever happens to it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use vhost_user_device::Request;
use vhost_user_device::fuzz::ring::{
    Logged, Memory, Pieces, Place, Queue, Taken, Tracked, forget, head, pieces,
};

use super::places::place;
use super::surroundings::{FILE, Surroundings};
use crate::input::Input;

/// How many borders between regions a chain may lie across.
const MOST_BORDERS: usize = 1024;

/// A virtqueue, its memory, and its requests in flight.
pub(super) struct Bench {
    memory: Rc<Memory>,
    mapped: Rc<Pieces>,
    size: u16,
    event_idx: bool,
    indirect: bool,
    longest: u32,
    /// A place for the ring while there is one.
    place: Option<Place>,
    queue: Queue,
    in_flight: Vec<Request>,
    at_home: usize,
    /// The index of the next used element, since the ring was there first.
    next_used: Option<u16>,
    /// There are used elements that the driver was not shown.
    unpublished: bool,
    /// What was completed while there was no ring.
    waiting: Vec<(u16, u32)>,
    tracked_file: Option<File>,
    tracked: Option<Tracked>,
    logged: Option<Logged>,
}

impl Bench {
    /// As the input says.
    pub(super) fn new(input: &mut Input<'_>) -> Self {
        let Surroundings { memory, mapped, tracked: tracked_file, log } =
            Surroundings::of_shape(input.u8());
        let size = 1 << (input.u8() % 6);
        let flags = input.u8();
        let longest = input.pick(&[u32::from(size), 1, 8, 1024]);
        let next_avail = input.u16();
        let tracked_file = (flags & 4 != 0).then_some(tracked_file);
        let log = if flags & 8 != 0 { Some((log, input.u64())) } else { None };
        let mut bench = Self {
            memory,
            mapped,
            size,
            event_idx: flags & 1 != 0,
            indirect: flags & 2 != 0,
            longest: longest.max(size.into()),
            place: None,
            queue: Queue::new(next_avail, None),
            in_flight: Vec::new(),
            at_home: 0,
            next_used: None,
            unpublished: false,
            waiting: Vec::new(),
            tracked_file,
            tracked: None,
            logged: log.and_then(|(file, used)| Logged::map(file, (0, 0x10), Some(used))),
        };
        bench.start(next_avail);
        bench.go_on_at(Some(Place { descriptors: 0, avail: 0x400, used: 0x800, size }));
        bench
    }

    /// The queue starts anew.
    fn start(&mut self, next_avail: u16) {
        // There may be nonsense in it by now.
        let map = |file: File| Tracked::map(file, (0, FILE as u64), self.size);
        let file = self.tracked_file.as_ref().map(|file| file.try_clone().expect("a descriptor"));
        self.tracked = file.and_then(map);
        let room = self.tracked.as_ref().map_or(self.size, Tracked::room);
        assert_eq!(room, self.size, "room of the in-flight region");
        self.queue = Queue::new(next_avail, self.tracked.as_ref());
        self.next_used = None;
        self.unpublished = false;
        self.waiting.clear();
        self.place = None;
    }

    /// Goes on with the ring at a place, or without one.
    fn go_on_at(&mut self, place: Option<Place>) {
        let used_idx = place.map(|place| self.memory.read(place.used + 2)).map(u16::from_le_bytes);
        let goes_on = self.queue.install(&self.memory, place, self.event_idx, self.logged.as_ref());
        if !goes_on {
            assert!(self.tracked.is_some(), "only an in-flight region can be nonsense by itself");
            assert!(self.queue.is_paused());
        }
        self.place = place.filter(|_| !self.queue.is_paused());
        if self.place.is_some() {
            self.next_used = self.next_used.or(used_idx);
            for (head, written) in std::mem::take(&mut self.waiting) {
                self.expect_used(head, written);
            }
        }
        assert!(self.queue.recovered() <= usize::from(self.size));
    }

    pub(super) fn install(&mut self, input: &mut Input<'_>) {
        self.event_idx ^= input.u8() & 1 == 1;
        self.go_on_at(place(input, self.size));
    }

    /// Another back end takes over from this one, which ends as it is.
    pub(super) fn take_over(&mut self, next_avail: u16) {
        while let Some((request, _)) = self.queue.came_home() {
            forget(request);
        }
        self.at_home = 0;
        self.in_flight.drain(..).for_each(forget);
        let place = self.place;
        self.start(next_avail);
        self.go_on_at(place);
    }

    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) {
        self.memory.write(at, bytes);
    }

    pub(super) fn write_tracked(&mut self, at: u16, bytes: [u8; 4]) {
        if let Some(file) = &self.tracked_file {
            let at = usize::from(at) % (FILE - bytes.len());
            file.write_all_at(&bytes, at as u64).expect("bytes of the file");
        }
    }

    pub(super) fn write_descriptor(&mut self, slot: u8, descriptor: [u8; 16]) {
        if let Some(place) = self.place {
            let slot = u64::from(u16::from(slot) % self.size);
            self.memory.write(place.descriptors + 16 * slot, &descriptor);
        }
    }

    /// Makes heads available as a driver would that has lost its mind about which.
    pub(super) fn offer(&mut self, heads: &[u8]) {
        let Some(place) = self.place else { return };
        let mut idx = u16::from_le_bytes(self.memory.read(place.avail + 2));
        for head in heads {
            let slot = u64::from(idx % self.size);
            let head = u16::from(*head) % (self.size + 1);
            self.memory.write(place.avail + 4 + 2 * slot, &head.to_le_bytes());
            idx = idx.wrapping_add(1);
        }
        self.memory.write(place.avail + 2, &idx.to_le_bytes());
    }

    /// Writes a word of the available ring: flags, index, an entry or the event index.
    pub(super) fn write_avail(&mut self, which: u16, value: u16) {
        if let Some(place) = self.place {
            let which = u64::from(which % (self.size + 3));
            self.memory.write(place.avail + 2 * which, &value.to_le_bytes());
        }
    }

    /// Takes the next chain.
    pub(super) fn take(&mut self) {
        let (before, recovered) = (self.queue.next_avail(), self.queue.recovered());
        let taken = self.queue.pop(self.indirect, self.longest);
        let moved = self.queue.next_avail().wrapping_sub(before);
        let given = recovered - self.queue.recovered();
        match taken {
            Taken::Request(request) => {
                assert_eq!(usize::from(moved) + given, 1, "one head for one request");
                self.must_be_free(head(&request));
                self.look_at(&request);
                self.in_flight.push(request);
            }
            Taken::Bad(head) => {
                assert_eq!(usize::from(moved) + given, 1, "one head for one bad chain");
                self.must_be_free(head);
                self.expect_used(head, 0);
            }
            Taken::Nothing => {
                assert_eq!((moved, given), (0, 0));
                if let Some(place) = self.place {
                    let idx = u16::from_le_bytes(self.memory.read(place.avail + 2));
                    assert_eq!(idx, before, "something is available");
                    assert_eq!(recovered, 0, "something was left in flight");
                }
            }
            Taken::Broken => assert_eq!(moved, 0),
        }
        assert_eq!(self.queue.in_flight(), self.in_flight.len() + self.at_home);
        assert!(self.queue.in_flight() <= usize::from(self.size), "too many in flight");
    }

    /// A head is given out once at a time, and is one of the ring's.
    fn must_be_free(&self, taken: u16) {
        assert!(taken < self.size, "head {taken} of {}", self.size);
        let twice = self.in_flight.iter().any(|request| head(request) == taken);
        assert!(!twice, "head {taken} was given out twice");
    }

    /// All of a request lies in guest memory, and can be read and written.
    fn look_at(&self, request: &Request) {
        let [readable, writable] = [request.readable(), request.writable()].map(pieces);
        let count = readable.len() + writable.len();
        assert!(count > 0 && count <= self.longest as usize + MOST_BORDERS, "{count} pieces");
        for (start, len) in readable.iter().chain(&writable) {
            let holds = |(region, whole): &(usize, usize)| {
                start.checked_sub(*region).is_some_and(|skip| skip < *whole && *len <= whole - skip)
            };
            assert!(*len > 0 && self.mapped.iter().any(holds), "a piece outside guest memory");
        }
        let sum = |pieces: &Pieces| pieces.iter().map(|(_, len)| len).sum::<usize>();
        assert_eq!(request.readable().len(), sum(&readable));
        assert_eq!(request.writable().len(), sum(&writable));
        assert!(sum(&readable) + sum(&writable) <= u32::MAX as usize);

        let mut bytes = [0; 32];
        for (buffers, writes) in [(request.readable(), false), (request.writable(), true)] {
            let len = bytes.len().min(buffers.len());
            for offset in [0, buffers.len() - len] {
                buffers.read(offset, &mut bytes[..len]).expect("bytes of a request");
                if writes {
                    bytes.reverse();
                    buffers.write(offset, &bytes[..len]).expect("bytes of a request");
                }
            }
            buffers.read(buffers.len(), &mut [0]).expect_err("no byte beyond the end");
        }
    }

    fn pick(&mut self, which: u8) -> Option<Request> {
        let count = self.in_flight.len();
        (count > 0).then(|| self.in_flight.swap_remove(usize::from(which) % count))
    }

    /// Completes one of the requests in flight.
    pub(super) fn complete(&mut self, which: u8, written: u32) {
        self.come_home();
        if let Some(request) = self.pick(which) {
            self.finish(request, written);
        }
    }

    fn finish(&mut self, request: Request, written: u32) {
        let head = head(&request);
        self.queue.complete(request, written);
        if self.place.is_some() {
            self.expect_used(head, written);
        } else {
            self.waiting.push((head, written));
        }
    }

    /// The next used element is this one.
    fn expect_used(&mut self, head: u16, written: u32) {
        let (place, next) = self.place.zip(self.next_used).expect("a ring");
        let slot = u64::from(next % self.size);
        let element: [u8; 8] = self.memory.read(place.used + 4 + 8 * slot);
        let expected = u64::from(head) | u64::from(written) << 32;
        assert_eq!(u64::from_le_bytes(element), expected, "used element {next}");
        self.next_used = Some(next.wrapping_add(1));
        self.unpublished = true;
    }

    pub(super) fn publish(&mut self) {
        let _wants_call = self.queue.publish();
        // What was shown before may have been written over.
        if let Some((place, next)) = self.place.zip(self.next_used).filter(|_| self.unpublished) {
            let idx = u16::from_le_bytes(self.memory.read(place.used + 2));
            assert_eq!(idx, next, "used.idx");
            self.unpublished = false;
        }
    }

    pub(super) fn hand_back(&mut self, which: u8) {
        let Some(request) = self.pick(which) else { return };
        let before = self.queue.next_avail();
        let moved = match self.queue.hand_back(request) {
            Ok(()) => 1,
            Err(request) => {
                self.in_flight.push(request);
                0
            }
        };
        assert_eq!(before.wrapping_sub(self.queue.next_avail()), moved);
    }

    /// Another thread finishes a request.
    pub(super) fn send_home(&mut self, which: u8, written: u32) {
        if let Some(request) = self.pick(which) {
            request.send_home(written);
            self.at_home += 1;
        }
    }

    fn come_home(&mut self) {
        while let Some((request, written)) = self.queue.came_home() {
            self.at_home -= 1;
            self.finish(request, written);
        }
    }

    pub(super) fn ask_for_kicks(&mut self, wanted: bool) {
        let more = self.queue.ask_for_kicks(wanted);
        assert!(!more || self.place.is_some());
    }

    /// The queue stops: everything in flight is completed.
    pub(super) fn end(mut self) {
        self.come_home();
        while let Some(request) = self.pick(0) {
            self.finish(request, 0);
        }
        self.publish();
        assert_eq!(self.queue.in_flight(), 0, "in flight at the end");
    }
}

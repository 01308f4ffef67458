// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Makes up what a front end says: mostly what one might say, in an order that it might keep,
//! and now and then something that none should.

mod mistakes;
mod places;

use vhost::vhost_user::message::{FrontendReq as Req, VhostUserProtocolFeatures as Protocol};

use crate::device::{OFFERED, OFFERED_PROTOCOL, PROTOCOL_FEATURES, WRITABLE};
use crate::random::Random;
use crate::said::{Kind, NEED_REPLY, Said};
use places::{Span, ring};

/// How many messages come after the opening, at most.
const LONGEST: usize = 40;

/// How often each message is said, in relation to the others.
const WEIGHTS: [(Req, usize); 29] = [
    (Req::GET_FEATURES, 6),
    (Req::SET_FEATURES, 8),
    (Req::SET_OWNER, 4),
    (Req::RESET_OWNER, 4),
    (Req::SET_MEM_TABLE, 8),
    (Req::SET_LOG_BASE, 6),
    (Req::SET_LOG_FD, 1),
    (Req::SET_VRING_NUM, 16),
    (Req::SET_VRING_ADDR, 16),
    (Req::SET_VRING_BASE, 16),
    (Req::GET_VRING_BASE, 14),
    (Req::SET_VRING_KICK, 20),
    (Req::SET_VRING_CALL, 10),
    (Req::SET_VRING_ERR, 6),
    (Req::GET_PROTOCOL_FEATURES, 4),
    (Req::SET_PROTOCOL_FEATURES, 4),
    (Req::GET_QUEUE_NUM, 4),
    (Req::SET_VRING_ENABLE, 16),
    (Req::SET_BACKEND_REQ_FD, 6),
    (Req::GET_CONFIG, 8),
    (Req::SET_CONFIG, 6),
    (Req::GET_INFLIGHT_FD, 6),
    (Req::SET_INFLIGHT_FD, 8),
    (Req::RESET_DEVICE, 4),
    (Req::GET_MAX_MEM_SLOTS, 3),
    (Req::ADD_MEM_REG, 18),
    (Req::REM_MEM_REG, 10),
    (Req::SET_STATUS, 1),
    (Req::GET_STATUS, 1),
];

/// The messages that no back end for this device knows.
const FOREIGN: [u32; 18] =
    [19, 20, 22, 23, 26, 27, 28, 29, 30, 33, 34, 35, 41, 42, 43, 44, 45, 0x8000_0000];

/// Who makes up a sequence.
struct Author {
    random: Random,
    /// How many of a hundred choices are odd ones.
    oddity: usize,
    said: Vec<Said>,
}

/// The messages of one sequence; the same random numbers give the same ones.
pub fn sequence(mut random: Random) -> Vec<Said> {
    let oddity = random.pick(&[0, 1, 4, 4, 8, 25]);
    let mut author = Author { random, oddity, said: Vec::new() };
    author.open();
    for _ in 0..=author.random.below(LONGEST) {
        author.go_on();
    }
    author.said
}

impl Author {
    /// How most front ends begin; any message may be missing.
    fn open(&mut self) {
        let opening = [
            Req::GET_FEATURES,
            Req::GET_PROTOCOL_FEATURES,
            Req::SET_PROTOCOL_FEATURES,
            Req::GET_QUEUE_NUM,
            Req::SET_OWNER,
            Req::SET_FEATURES,
            Req::ADD_MEM_REG,
        ];
        for request in opening {
            if !self.is_odd() {
                let said = self.usual(request);
                self.say(said);
            }
        }
    }

    fn go_on(&mut self) {
        let mut said = if self.is_odd() && self.random.one_in(3) {
            self.foreign()
        } else {
            let request = self.weighted();
            self.usual(request)
        };
        if self.is_odd() {
            mistakes::spoil(&mut said, &mut self.random);
        }
        self.say(said);
    }

    fn say(&mut self, mut said: Said) {
        if self.random.percent(90) {
            said.flags |= NEED_REPLY;
        }
        self.said.push(said);
    }

    fn is_odd(&mut self) -> bool {
        self.random.percent(self.oddity)
    }

    /// One that a front end might say, or an odd one.
    fn pick<T: Copy>(&mut self, usual: &[T], odd: &[T]) -> T {
        if self.is_odd() { self.random.pick(odd) } else { self.random.pick(usual) }
    }

    fn weighted(&mut self) -> Req {
        let total = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut left = self.random.below(total);
        for (request, weight) in WEIGHTS {
            match left.checked_sub(weight) {
                Some(rest) => left = rest,
                None => return request,
            }
        }
        unreachable!("the number is below the sum of the weights")
    }

    /// A message as a front end would say it, or could by an oversight.
    fn usual(&mut self, request: Req) -> Said {
        let (payload, with) = match request {
            Req::SET_FEATURES => (longs(&[self.features()]), Vec::new()),
            Req::SET_PROTOCOL_FEATURES => (longs(&[self.protocol_features()]), Vec::new()),
            Req::SET_MEM_TABLE => self.mem_table(),
            Req::ADD_MEM_REG => {
                let span = self.span();
                (span.single(), vec![self.file(span)])
            }
            Req::REM_MEM_REG => {
                let with = if self.random.one_in(6) { vec![Kind::Null] } else { Vec::new() };
                (self.span().single(), with)
            }
            Req::SET_VRING_NUM => {
                let odd = [0, 3, 512, 0x1_0010, u32::MAX];
                (self.vring(&[1, 2, 16, 16, 64, 128, 256, 256], &odd), Vec::new())
            }
            // Never so that the index 0, which all rings have, would be a few entries ahead.
            Req::SET_VRING_BASE => {
                let bases = [0, 0, 1, 7, 0x100, 0x6000, 0x8000, 0xf000];
                (self.vring(&bases, &[0x1_0000, u32::MAX]), Vec::new())
            }
            Req::SET_VRING_ENABLE => (self.vring(&[0, 1, 1], &[2]), Vec::new()),
            Req::GET_VRING_BASE => (self.vring(&[0], &[1]), Vec::new()),
            Req::SET_VRING_ADDR => {
                let (index, is_odd) = (self.index(), self.is_odd());
                (ring(index, is_odd, &mut self.random), Vec::new())
            }
            Req::SET_VRING_KICK | Req::SET_VRING_CALL | Req::SET_VRING_ERR => self.vring_fd(),
            Req::SET_BACKEND_REQ_FD => {
                let odd = [Kind::Datagrams, Kind::Datagrams, Kind::Event];
                (Vec::new(), vec![self.pick(&[Kind::Socket], &odd)])
            }
            Req::GET_CONFIG => (self.config((0, 8)), Vec::new()),
            Req::SET_CONFIG => (self.config(WRITABLE), Vec::new()),
            Req::GET_INFLIGHT_FD => (self.inflight(), Vec::new()),
            Req::SET_INFLIGHT_FD => (self.inflight(), vec![Kind::Memory(0x1_0000)]),
            Req::SET_LOG_BASE => {
                let len = self.pick(&[0x1000, 0x1800], &[0x8000, 0]);
                (longs(&[len, self.random.pick(&[0, 0, 0x800])]), vec![Kind::Memory(0x2000)])
            }
            Req::SET_LOG_FD => (Vec::new(), vec![Kind::Event]),
            Req::SET_STATUS => (longs(&[self.pick(&[0, 1, 3, 0xb, 0xf], &[0x100])]), Vec::new()),
            _ => (Vec::new(), Vec::new()),
        };
        Said::new(request, payload, with)
    }

    /// A message that means nothing here.
    fn foreign(&mut self) -> Said {
        let payload = vec![0; self.random.pick(&[0, 8, 16])];
        let with = if self.random.one_in(3) { vec![Kind::Event] } else { Vec::new() };
        Said { request: self.random.pick(&FOREIGN), ..Said::new(Req::SET_OWNER, payload, with) }
    }

    fn features(&mut self) -> u64 {
        let some = OFFERED & self.random.any();
        let more = OFFERED | 1 << self.random.pick(&[2, 33, 34, 63]);
        self.pick(&[OFFERED, some | PROTOCOL_FEATURES], &[more, some & !PROTOCOL_FEATURES])
    }

    fn protocol_features(&mut self) -> u64 {
        let offered = OFFERED_PROTOCOL.bits();
        let some = offered & self.random.any();
        let acks = Protocol::REPLY_ACK.bits();
        let more = offered | 1 << self.random.pick(&[2, 40]);
        self.pick(&[offered], &[some | acks, some & !acks, more, 1 << 40, 1 << 40])
    }

    fn span(&mut self) -> Span {
        let is_odd = self.is_odd();
        Span::any(is_odd, &mut self.random)
    }

    /// The file that holds a region, or one that doesn't.
    fn file(&mut self, span: Span) -> Kind {
        let odd = [Kind::Memory(span.file() / 2), Kind::Event, Kind::Null, Kind::Socket];
        self.pick(&[Kind::Memory(span.file())], &odd)
    }

    fn mem_table(&mut self) -> (Vec<u8>, Vec<Kind>) {
        let count = self.pick(&[1, 1, 2, 3], &[0]);
        let padding = self.pick(&[0], &[7]);
        let spans: Vec<Span> = (0..count).map(|_| self.span()).collect();
        let head = words(&[count, padding]);
        let payload = head.into_iter().chain(spans.iter().flat_map(|span| span.bytes())).collect();
        (payload, spans.into_iter().map(|span| self.file(span)).collect())
    }

    fn index(&mut self) -> u32 {
        self.pick(&[0, 1], &[2, 0xff, 0x100, u32::MAX])
    }

    fn vring(&mut self, usual: &[u32], odd: &[u32]) -> Vec<u8> {
        words(&[self.index(), self.pick(usual, odd)])
    }

    /// A queue, and a descriptor or that there is none.
    fn vring_fd(&mut self) -> (Vec<u8>, Vec<Kind>) {
        let index = self.pick(&[0, 1], &[2, 0xff, 1 << 40]);
        let kind = self.pick(&[Kind::Event, Kind::Pipe, Kind::Socket], &[Kind::Null]);
        let none = index | 1 << 8;
        match self.random.below(6) {
            0 => (longs(&[none]), if self.is_odd() { vec![kind] } else { Vec::new() }),
            _ => (longs(&[index]), vec![kind]),
        }
    }

    fn config(&mut self, usual: (u32, usize)) -> Vec<u8> {
        let odd = [(0, 1), (4, 60), (0, 0), (0, 4084), (4080, 8), (4090, 8), (4096, 1)];
        let is_odd = self.is_odd() || self.random.one_in(8);
        let (offset, len) = if is_odd { self.random.pick(&odd) } else { usual };
        let flags = self.pick(&[0, 0, 1], &[2, 4]);
        let size = u32::try_from(len).expect("a short config space");
        let contents = if self.is_odd() { len / 2 } else { len };
        [words(&[offset, size, flags]), vec![0; contents]].concat()
    }

    fn inflight(&mut self) -> Vec<u8> {
        let queues: u64 = self.pick(&[1, 2, 2], &[0, 3]);
        let size: u64 = self.pick(&[16, 128, 256, 256], &[0, 512]);
        let enough = queues * (16 * (1 + size)).next_multiple_of(64);
        let len = self.pick(&[enough], &[enough - enough / 4, 0]);
        let offset = self.pick(&[0, 0, 0x1000, 64], &[4, u64::MAX]);
        let [queues, size] = [queues, size]
            .map(|number| u16::try_from(number).expect("a short number").to_ne_bytes());
        // The specification has no padding at the end, the structure in C has.
        let padding = vec![0; self.pick(&[4], &[0])];
        [longs(&[len, offset]), queues.to_vec(), size.to_vec(), padding].concat()
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn longs(longs: &[u64]) -> Vec<u8> {
    longs.iter().flat_map(|long| long.to_ne_bytes()).collect()
}

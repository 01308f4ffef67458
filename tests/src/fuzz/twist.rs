// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What can be wrong about a message on its way: its header, its payload, its descriptors, and how
//! it is cut into pieces.

use std::os::fd::OwnedFd;

use super::things::{KINDS, Things};
use crate::frontend::{Message, NEED_REPLY, VERSION};

/// How many kinds of wrong there are, right included.
pub(super) const TWISTS: u32 = 24;

/// The header: request, flags, size.
const HEADER: usize = 12;

/// The most descriptors that the kernel passes with one message.
const MOST: usize = 253;

/// Numbers at which something often ends.
const EDGES: [u64; 16] = [
    0,
    1,
    7,
    0xff,
    0x100,
    0xfff,
    0x1000,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    1 << 47,
    u64::MAX - 0xfff,
    u64::MAX,
];

/// A message as bytes and descriptors, about to be sent.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) bytes: Vec<u8>,
    pub(super) fds: Vec<OwnedFd>,
    /// After how many bytes the first piece ends, if it is sent in pieces.
    pub(super) cut: Option<usize>,
    /// The descriptors come with the last piece, not with the first.
    pub(super) late: bool,
    /// The reader still knows afterwards where a message begins.
    pub(super) framed: bool,
}

impl Parcel {
    /// `message` with these descriptors, as it should be.
    pub(super) fn new(message: &Message<'_>, fds: Vec<OwnedFd>) -> Self {
        let mut bytes = message.wire();
        put(&mut bytes, 4, &(VERSION | NEED_REPLY).to_ne_bytes());
        Self { bytes, fds, cut: None, late: false, framed: true }
    }

    /// Has something be wrong about it: what, says the lowest byte of `twist`; where, the others.
    pub(super) fn twist(&mut self, twist: u32, things: &mut Things) {
        let (kind, more) = (twist % 256 % TWISTS, twist >> 8);
        match kind {
            0 => (),
            1 => put(&mut self.bytes, 0, &(more % 64).to_ne_bytes()),
            2 => put(&mut self.bytes, 4, &VERSION.to_ne_bytes()),
            3..7 => self.lie(kind, more),
            7..12 => self.change_payload(kind, more),
            12..18 => self.change_descriptors(kind, more, things),
            18..20 => self.cut = Some(1 + place(more) % self.bytes.len().max(2)),
            20 => {
                self.cut = Some(1 + place(more) % self.bytes.len().max(2));
                self.late = true;
            }
            21 => {
                self.bytes.truncate(place(more) % self.bytes.len());
                self.framed = false;
            }
            22 => {
                let again = self.bytes.clone();
                self.bytes.extend(again);
            }
            _ => put(&mut self.bytes, 4, &(VERSION | NEED_REPLY | more << 4).to_ne_bytes()),
        }
    }

    /// The header says what is not so.
    fn lie(&mut self, kind: u32, more: u32) {
        let len = u32::try_from(self.bytes.len() - HEADER).unwrap_or_default();
        match kind {
            // A flag without which it is no message, or which makes it an answer.
            3 => {
                put(&mut self.bytes, 4, &(more % 16).to_ne_bytes());
                self.framed = more % 16 == VERSION || more % 16 == VERSION | NEED_REPLY;
            }
            4 => put(&mut self.bytes, 8, &len.wrapping_add(1 + more % 8).to_ne_bytes()),
            5 => put(&mut self.bytes, 8, &len.saturating_sub(1 + more % 8).to_ne_bytes()),
            _ => put(&mut self.bytes, 8, &low(edge(more)).to_ne_bytes()),
        }
        if kind != 3 {
            self.framed = false;
        }
    }

    fn change_payload(&mut self, kind: u32, more: u32) {
        let len = self.bytes.len() - HEADER;
        let at = |unit: usize| HEADER + place(more >> 4) % (len / unit).max(1) * unit;
        match kind {
            7 if len > 0 => {
                let [bit, ..] = more.to_le_bytes();
                self.bytes[HEADER + place(more >> 8) % len] ^= 1 << (bit % 8);
            }
            8 => put(&mut self.bytes, at(8), &edge(more).to_ne_bytes()),
            9 => put(&mut self.bytes, at(4), &low(edge(more)).to_ne_bytes()),
            10 => {
                self.bytes.truncate(HEADER + place(more) % len.max(1));
                self.say_size();
            }
            11 => {
                let extra = [1, 8, 32, 4096 - len.min(4096)][place(more) % 4];
                self.bytes.resize(self.bytes.len() + extra, 0xa5);
                self.say_size();
            }
            _ => (),
        }
    }

    fn change_descriptors(&mut self, kind: u32, more: u32, things: &mut Things) {
        let mut odd = |kind| things.make(kind).ok();
        match kind {
            12 => self.fds.clear(),
            13 => self.fds.extend(odd(more)),
            14 | 15 => {
                let odds = (0..self.fds.len()).map_while(|_| odd(more)).collect();
                self.fds = odds;
            }
            16 => self.fds.extend((0..1 + more % 40).map_while(|i| odd((more + i) % KINDS))),
            _ => {
                let one = self.fds.pop().or_else(|| odd(more));
                let copies = one.iter().cycle().take(MOST).map_while(|fd| fd.try_clone().ok());
                self.fds = copies.collect();
            }
        }
        self.fds.truncate(MOST);
    }

    fn say_size(&mut self) {
        let len = u32::try_from(self.bytes.len() - HEADER).unwrap_or(u32::MAX);
        put(&mut self.bytes, 8, &len.to_ne_bytes());
    }
}

/// One of the numbers at which something often ends.
pub(super) fn edge(which: u32) -> u64 {
    EDGES[place(which) % EDGES.len()]
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or_default()
}

fn low(number: u64) -> u32 {
    u32::try_from(number & 0xffff_ffff).unwrap_or_default()
}

/// Writes what of `value` fits.
fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    for (byte, new) in bytes.iter_mut().skip(at).zip(value) {
        *byte = *new;
    }
}

#[cfg(test)]
mod tests {
    use vhost::vhost_user::message::FrontendReq;

    use super::*;

    fn parcel() -> Parcel {
        Parcel::new(&Message::vring(FrontendReq::SET_VRING_NUM, 1, 2), Vec::new())
    }

    #[test]
    fn parcel_without_a_twist_is_the_message_that_asks_for_an_answer() {
        let message = Message::vring(FrontendReq::SET_VRING_NUM, 1, 2).need_reply();
        let mut parcel = parcel();
        parcel.twist(0, &mut Things::new().unwrap());
        assert_eq!(parcel.bytes, message.wire());
        assert!(parcel.framed);
    }

    #[test]
    fn parcel_can_be_twisted_in_any_way() {
        let mut things = Things::new().unwrap();
        for twist in 0..TWISTS {
            for more in [0, 1, 5, 77, 0xff_ffff] {
                let mut parcel = parcel();
                parcel.twist(more << 8 | twist, &mut things);
                assert!(parcel.fds.len() <= MOST);
                assert!(parcel.cut.is_none_or(|cut| cut <= parcel.bytes.len()));
            }
        }
    }

    #[test]
    fn parcel_whose_size_lies_leaves_the_reader_without_a_beginning() {
        for twist in [4, 5, 6, 21] {
            let mut parcel = parcel();
            parcel.twist(twist, &mut Things::new().unwrap());
            assert!(!parcel.framed, "twist {twist}");
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A message: what the parser makes of it must be what is in its bytes, read a second time here,
//! and every descriptor must be kept or closed.

use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

use vhost_user_device::fuzz::message::{header, message, reply};

use crate::input::Input;

/// The most descriptors that come with a message, and some.
const MOST_DESCRIPTORS: u8 = 36;

/// The longest payload that a header may announce.
const MAX_PAYLOAD: usize = 4096;

/// Plays one input: how many descriptors there are, a header and a payload.
pub fn play(input: &[u8]) {
    let mut input = Input::new(input);
    let descriptors = input.u8() % MOST_DESCRIPTORS;
    let head = input.bytes::<12>();
    let [request, flags, len] = [0, 4, 8].map(|at| u32_in(&head, at));
    let is_request = flags & 0b111 == 1 && len as usize <= MAX_PAYLOAD;
    let parsed = header(head);
    assert_eq!(parsed, is_request.then_some((request, len as usize, flags & 8 != 0)));
    if !is_request {
        return;
    }
    let payload = input.rest();
    let payload = &payload[..payload.len().min(MAX_PAYLOAD)];

    let fds: Vec<OwnedFd> = (0..descriptors).map(|_| descriptor()).collect();
    let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let said = message(request, payload, fds);
    let expected = Expected::of(request, payload, numbers.len());
    assert_eq!(said.is_some(), expected.is_some(), "whether it is a message");
    if let Some((said, expected)) = said.as_ref().zip(expected) {
        assert_eq!(said.numbers, expected.numbers);
        assert_eq!(said.bytes, payload[expected.bytes]);
        let kept: Vec<RawFd> = said.fds.iter().map(AsRawFd::as_raw_fd).collect();
        assert_eq!(kept, numbers[..expected.fds]);
    }
    drop(said);
    // The lowest number that is free is taken: had one been left open, it would be another one.
    let next = descriptor().as_raw_fd();
    assert!(numbers.first().is_none_or(|first| *first == next), "a descriptor was left open");

    let answer = reply(head, payload).expect("a header");
    let words = [request, 5, u32::try_from(payload.len()).expect("a short payload")];
    let head: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    assert_eq!(answer, [head.as_slice(), payload].concat());
}

fn descriptor() -> OwnedFd {
    static NULL: OnceLock<File> = OnceLock::new();
    let null = NULL.get_or_init(|| File::open("/dev/null").expect("open /dev/null"));
    null.try_clone().expect("a descriptor").into()
}

/// What a message says, by the vhost-user specification.
struct Expected {
    numbers: Vec<u64>,
    /// Where its bytes are in the payload.
    bytes: Range<usize>,
    /// How many descriptors are kept.
    fds: usize,
}

impl Expected {
    /// `None` if it is no message that we know, or its payload is too short, or the descriptors are
    /// not as many as belong to it.
    fn of(request: u32, payload: &[u8], fds: usize) -> Option<Self> {
        let short = |offset| u64::from(u16_in(payload, offset));
        let word = |offset| u64::from(u32_in(payload, offset));
        let long = |offset| u64_in(payload, offset);
        let region = |offset| [0, 8, 16, 24].map(|at| long(offset + at)).to_vec();
        let one_fd = Some(1);
        // Bytes that are there at least; descriptors, if it matters; numbers.
        let (least, wanted, numbers) = match request {
            1 | 3 | 4 | 15 | 17 | 34 | 36 | 40 => (0, None, vec![]),
            2 | 16 | 39 => (8, None, vec![long(0)]),
            5 => {
                let count = usize::try_from(word(0)).ok().filter(|count| *count == fds)?;
                let regions = (0..count).flat_map(|index| region(8 + 32 * index)).collect();
                (8 + 32 * count, Some(count), regions)
            }
            6 => (16, one_fd, vec![long(0), long(8)]),
            7 | 21 => (0, one_fd, vec![]),
            8 | 10 | 18 => (8, None, vec![word(0), word(4)]),
            9 if word(4) & 1 == 0 => (40, None, vec![word(0), long(8), long(16), long(24)]),
            9 => (40, None, vec![word(0), long(8), long(16), long(24), long(32)]),
            11 => (8, None, vec![word(0)]),
            12..=14 => (8, (long(0) & 0x100 == 0).then_some(1), vec![long(0) & 0xff]),
            24 => (12, None, vec![word(0), word(4), word(8)]),
            25 => {
                let size = usize::try_from(word(4)).ok()?;
                (12 + size, None, vec![word(0), word(8)])
            }
            31 => (20, None, vec![short(16), short(18)]),
            32 => (20, one_fd, vec![long(0), long(8), short(16), short(18)]),
            37 => (40, one_fd, region(8)),
            38 => (40, None, region(8)),
            _ => return None,
        };
        if payload.len() < least || wanted.is_some_and(|wanted| wanted != fds) {
            return None;
        }
        let bytes = if request == 25 { 12..least } else { 0..0 };
        Some(Self { numbers, bytes, fds: wanted.unwrap_or(0) })
    }
}

fn number<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let bytes = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    bytes.copied().unwrap_or([0; N])
}

fn u16_in(bytes: &[u8], offset: usize) -> u16 {
    u16::from_ne_bytes(number(bytes, offset))
}

fn u32_in(bytes: &[u8], offset: usize) -> u32 {
    u32::from_ne_bytes(number(bytes, offset))
}

fn u64_in(bytes: &[u8], offset: usize) -> u64 {
    u64::from_ne_bytes(number(bytes, offset))
}

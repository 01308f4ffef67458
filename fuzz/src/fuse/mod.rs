// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! FUSE requests: the input says how a session begins, and then what a client asks for and how long it
//! says that this is. What the file system is called with must be what its types promise, whatever
//! the client says, and what it gave to the client must be in the answer.

mod ends;
pub(crate) mod judge;

use vhost_user_fs_lib::{Failure, Limits, Outcome, Server};

use crate::input::Input;
use ends::{Answer, Request};
use judge::Judge;

/// Nothing of interest takes longer.
const MOST_REQUESTS: usize = 200;

/// How much room there may be for an answer.
const ROOMS: [usize; 12] = [8192, 8192, 8192, 0, 1, 15, 16, 17, 32, 144, 176, 400];

/// How much of a request may come without being in the input: a filler and a NUL.
const FILLERS: [usize; 8] = [0, 0, 0, 0, 248, 700, 4096, 65_600];

/// Those whose answer nobody waits for: FORGET, INTERRUPT, NOTIFY_REPLY, BATCH_FORGET.
const UNANSWERED: [u32; 4] = [2, 36, 41, 42];

/// Those that say how much they want: READ, READDIR, READDIRPLUS.
const READS: [u32; 3] = [15, 28, 44];

const INIT: u32 = 26;
const SETLKW: u32 = 33;

/// Plays one input.
pub fn play(input: &[u8]) {
    let mut input = Input::new(input);
    // What there is bounds it, and not what may be.
    let limits = Limits { max_write: u32::MAX, ..Limits::default() };
    let server = Server::new(Judge::new(input.u64()), limits);
    let begins = input.u8();
    if !begins.is_multiple_of(8) {
        serve(&server, &init(&mut input), 80);
    }
    for _ in 0..MOST_REQUESTS {
        if input.is_empty() {
            break;
        }
        step(&server, &mut input);
    }
    server.end();
}

/// What INIT says, if it says it well.
pub(crate) fn init(input: &mut Input<'_>) -> Vec<u8> {
    let minor = input.pick(&[45_u32, 38, 37, 36, 31, 27, 26]);
    let offered = input.u64();
    let [low, high] = [offered & u64::from(u32::MAX), offered >> 32];
    let mut words = vec![104, INIT, 1, 2, 0, 0, 0, 0, 0, 0, 7, minor, 4096];
    words.extend([low, high].map(|half| u32::try_from(half).expect("a half")));
    words.extend([0; 11]);
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// One request.
fn step(server: &Server<Judge>, input: &mut Input<'_>) {
    let (request, room) = request(server.file_system(), input);
    serve(server, &request, room);
}

/// The bytes of a request, and how much room there is for its answer. The calls that it leads to may fail.
pub(crate) fn request(judge: &Judge, input: &mut Input<'_>) -> (Vec<u8>, usize) {
    let opcode = match input.u8() {
        255 => input.u32(),
        number => u32::from(number % 64),
    };
    let [shape, node, extensions] = input.bytes();
    let room = input.pick(&ROOMS);
    let filler = input.pick(&FILLERS);
    judge.fail(match shape & 0b111 {
        0 => Some(Failure::Errno(input.u32().cast_signed())),
        1 => Some(Failure::WouldWait),
        2 => Some(Failure::EAGAIN),
        _ => None,
    });
    let len = input.u8();
    let mut body = input.some(len.into()).to_vec();
    if filler > 0 {
        body.resize(body.len() + filler, b'n');
        body.push(0);
    }
    let there = u32::try_from(40 + body.len()).expect("a short request");
    let said = match shape >> 5 {
        0 => input.u32(),
        1 => there.saturating_add(input.u8().into()),
        2 => there.saturating_sub(input.u8().into()),
        _ => there,
    };
    let extensions = if extensions < 128 { 0 } else { u16::from(extensions - 128) };
    let words = [said, opcode, 1, 2, node.into(), 0, 5, 6, 7, extensions.into()];
    let mut request: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    request.extend(body);
    if shape & 0b11000 == 0 {
        request.truncate(usize::from(input.u8() % 80));
    }
    (request, room)
}

/// Has a request served, first where it may not wait, and looks at the answer.
fn serve(server: &Server<Judge>, request: &[u8], room: usize) {
    let word = |at: usize| request.get(at..at + 4).map(|word| word.try_into().expect("a word"));
    let opcode = word(4).map_or(0, u32::from_ne_bytes);
    for may_wait in [false, true] {
        let (request, answer) = (Request::new(request), Answer::new(room));
        let judge = server.file_system();
        judge.begin_call();
        let outcome = server.serve(&request, &answer, may_wait);
        let given = judge.end_call();
        match outcome {
            Outcome::Done(written) => {
                let fits = written == 0 || (16..=room).contains(&written);
                assert!(fits, "{written} bytes in {room}");
                let bytes = answer.into_bytes();
                assert!(request.has_header() || written == 0, "an answer to no header");
                if written == 0 {
                    let none = UNANSWERED.contains(&opcode) || room < 16 || !request.has_header();
                    assert!(none, "opcode {opcode} has no answer");
                    assert_eq!(given.count(), 0, "what nobody hears of");
                } else {
                    let asked = word(56).filter(|_| READS.contains(&opcode));
                    let asked = asked.map_or(usize::MAX, |size| u32::from_ne_bytes(size) as usize);
                    assert!(written - 16 <= asked, "{written} bytes, not {asked}");
                    ends::judge(opcode, &bytes[..written], &given);
                }
                return;
            }
            Outcome::WouldWait => assert!(!may_wait, "it may wait, and does not"),
            Outcome::Locked => assert_eq!(opcode, SETLKW),
        }
        assert_eq!(given.count(), 0, "given, and to be given again");
        assert!(answer.into_bytes().iter().all(|byte| *byte == ends::BLANK), "half an answer");
        if outcome == Outcome::Locked {
            return;
        }
    }
}

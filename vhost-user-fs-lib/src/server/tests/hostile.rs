// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Requests that no client makes: each operation in each wrong way.

use super::*;

/// An operation, its arguments as they should be, and how many bytes its answer has with its header.
fn all() -> Vec<(u32, Raw, usize)> {
    let new = |zeroes| Raw::new().zeroes(zeroes).text("name");
    let lock = Raw::new().zeroes(48);
    vec![
        (1, new(0), 144),
        (2, Raw::new().u64(1), 0),
        (3, Raw::new().zeroes(16), 120),
        (4, Raw::new().zeroes(88), 120),
        (5, Raw::new(), 24),
        (6, new(0).text("target"), 144),
        (8, new(16), 144),
        (9, new(8), 144),
        (10, new(0), 16),
        (11, new(0), 16),
        (12, new(8).text("other"), 16),
        (13, new(8), 144),
        (14, Raw::new().zeroes(8), 32),
        (15, Raw::new().u64(0).u64(0).u32(4).zeroes(20), 20),
        (16, Raw::new().u64(0).u64(0).u32(4).zeroes(20).raw(b"data"), 24),
        (17, Raw::new(), 96),
        (18, Raw::new().zeroes(24), 16),
        (20, Raw::new().zeroes(16), 16),
        (21, Raw::new().u32(5).zeroes(12).text("user.a").raw(b"value"), 16),
        (22, Raw::new().u32(5).u32(0).text("user.a"), 21),
        (23, Raw::new().u32(7).u32(0), 23),
        (24, new(0), 16),
        (25, Raw::new().zeroes(24), 16),
        (27, Raw::new().zeroes(8), 32),
        (28, Raw::new().u64(0).u64(0).u32(32).zeroes(20), 48),
        (29, Raw::new().zeroes(24), 16),
        (30, Raw::new().zeroes(16), 16),
        (31, lock.clone(), 40),
        (32, lock.clone(), 16),
        (33, lock, 16),
        (34, Raw::new().zeroes(8), 16),
        (35, new(16), 160),
        (39, Raw::new().zeroes(24).u32(2).u32(6).raw(b"in"), 38),
        (42, Raw::new().u32(1).zeroes(20), 0),
        (43, Raw::new().zeroes(32), 16),
        (44, Raw::new().u64(0).u64(0).u32(160).zeroes(20), 176),
        (45, new(16).text("other"), 16),
        (46, Raw::new().zeroes(24), 24),
        (47, Raw::new().zeroes(56), 24),
        (50, Raw::new().zeroes(8), 16),
        (51, new(16), 160),
        (52, Raw::new().zeroes(24), 304),
        (53, Raw::new().zeroes(56), 24),
    ]
}

/// What `serve` writes of a request, which must be nothing or a header and what it says.
fn written(bench: &Bench, request: &[u8], room: usize) -> usize {
    match bench.serve_in(request, room) {
        Answer::Nothing => 0,
        Answer::Error(_) => 16,
        Answer::Fine(payload) => 16 + payload.len(),
    }
}

#[test]
fn operations_as_they_should_be_are_answered_in_full() {
    let bench = Bench::new();
    for (opcode, arguments, answer) in all() {
        assert_eq!(written(&bench, &request(opcode, arguments), ROOM), answer, "opcode {opcode}");
        assert_eq!(bench.calls().len(), 1, "opcode {opcode}");
    }
}

#[test]
fn requests_that_end_early_call_nothing() {
    let bench = Bench::new();
    for (opcode, arguments, answer) in all() {
        for len in 0..arguments.0.len() {
            let short = request(opcode, Raw::new().raw(&arguments.0[..len]));
            let expected = if answer == 0 { Answer::Nothing } else { Answer::Error(libc::EINVAL) };
            assert_eq!(bench.serve(&short), expected, "opcode {opcode} with {len} bytes");
            assert_eq!(bench.calls(), [""; 0], "opcode {opcode} with {len} bytes");
        }
    }
}

#[test]
fn headers_that_end_early_get_no_answer() {
    let bench = Bench::new();
    for (opcode, arguments, _) in all() {
        let whole = request(opcode, arguments);
        for len in 0..40 {
            assert_eq!(bench.serve(&whole[..len]), Answer::Nothing, "opcode {opcode}");
        }
    }
    assert_eq!(bench.calls(), [""; 0]);
}

#[test]
fn lengths_that_are_none_call_nothing() {
    let bench = Bench::new();
    for (opcode, arguments, _) in all() {
        let whole = request(opcode, arguments);
        let one_more = u32::try_from(whole.len() + 1).unwrap();
        for len in [0, 1, 16, 39, one_more, 1 << 31, u32::MAX] {
            let lies = [&len.to_ne_bytes(), &whole[4..]].concat();
            let answer = bench.serve(&lies);
            assert_eq!(answer, Answer::Error(libc::EINVAL), "opcode {opcode} of {len} bytes");
        }
    }
    assert_eq!(bench.calls(), [""; 0]);
}

#[test]
fn surplus_bytes_change_nothing() {
    let bench = Bench::new();
    for (opcode, arguments, answer) in all() {
        let inside = request(opcode, arguments.clone().zeroes(8));
        assert_eq!(written(&bench, &inside, ROOM), answer, "opcode {opcode}");
        let behind = Raw::new().raw(&request(opcode, arguments)).raw(&[0xff; 100]);
        assert_eq!(written(&bench, &behind.0, ROOM), answer, "opcode {opcode}");
        let calls = bench.calls();
        assert!(calls.len() == 2 && calls[0] == calls[1], "opcode {opcode}: {calls:?}");
    }
}

#[test]
fn texts_without_a_nul_call_nothing() {
    let bench = Bench::new();
    let fixed = [(1, 0), (6, 0), (8, 16), (9, 8), (10, 0), (11, 0), (12, 8), (13, 8), (21, 16)];
    for (opcode, zeroes) in
        fixed.into_iter().chain([(22, 8), (24, 0), (35, 16), (45, 16), (51, 16)])
    {
        for len in [1, 47, 48, 600, 640, 641, 4096] {
            let endless = Raw::new().zeroes(zeroes).raw(&vec![b'n'; len]);
            bench.check_refused(opcode, endless, libc::EINVAL);
        }
    }
}

#[test]
fn answers_that_do_not_fit_are_errors_or_nothing() {
    let bench = Bench::new();
    for (opcode, arguments, answer) in all() {
        let said = request(opcode, arguments);
        let cuts_off = matches!(opcode, 15 | 28 | 39 | 44);
        for room in (0..answer).step_by(7).chain([1, 15, 16, 17]).filter(|room| *room < answer) {
            let written = written(&bench, &said, room);
            let expected = if room < 16 { 0 } else { 16 };
            assert!(written == expected || cuts_off && written <= room, "{opcode} in {room}");
        }
        assert_eq!(written(&bench, &said, answer), answer, "opcode {opcode}");
    }
}

#[test]
fn what_there_is_no_room_to_tell_is_not_done() {
    let bench = Bench::new();
    // What is read only may have been, since it is known late how long it is.
    let reads = |opcode: &u32| matches!(opcode, 2 | 5 | 15 | 22 | 23 | 28 | 39 | 42 | 44);
    for (opcode, arguments, answer) in all().into_iter().filter(|(opcode, ..)| !reads(opcode)) {
        for room in [0, 1, answer - 1] {
            bench.serve_in(&request(opcode, arguments.clone()), room);
            assert_eq!(bench.calls(), [""; 0], "opcode {opcode} in {room}");
        }
    }
}

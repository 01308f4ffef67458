// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! INIT, DESTROY, and what is in force between them.

use super::*;

/// What INIT answers: flags, the largest write, the most pages.
fn terms(flags: InitFlags, max_write: u32, max_pages: u16) -> Answer {
    let [low, high] = [flags.0 & u64::from(u32::MAX), flags.0 >> 32];
    let [low, high] = [low, high].map(|half| u32::try_from(half).unwrap());
    let limits = Raw::new().u16(65535).u16(49152).u32(max_write).u32(1).u16(max_pages).u16(0);
    let head = Raw::new().u32(7).u32(45).u32(131_072).u32(low);
    Answer::Fine(head.raw(&limits.0).u32(high).zeroes(28).0)
}

#[test]
fn init_answers_with_all_that_both_want_and_can_do() {
    let bench = Bench::before_init();
    let pages = InitFlags::BIG_WRITES | InitFlags::MAX_PAGES;
    let offered = pages | InitFlags::INIT_EXT | InitFlags::SECURITY_CTX | InitFlags::POSIX_LOCKS;
    let answer = bench.serve(&init(45, offered | InitFlags::PASSTHROUGH | InitFlags::HAS_RESEND));
    assert_eq!(answer, terms(offered, 1 << 20, 256));
    assert_eq!(bench.calls(), ["begin"]);
}

#[test]
fn init_of_an_old_client_has_16_bytes_and_no_upper_flags() {
    let bench = Bench::before_init();
    let flags = InitFlags::ASYNC_READ | InitFlags::BIG_WRITES;
    let said = Raw::new().u32(7).u32(27).u32(131_072).u32(u32::try_from(flags.0).unwrap());
    assert_eq!(bench.serve(&request(26, said)), terms(flags, 131_072, 0));
}

#[test]
fn init_without_big_writes_allows_a_page() {
    let bench = Bench::before_init();
    let answer = bench.serve(&init(31, InitFlags::ASYNC_READ));
    assert_eq!(answer, terms(InitFlags::ASYNC_READ, 4096, 0));
}

#[test]
fn init_of_a_newer_major_version_is_to_be_said_again() {
    let bench = Bench::before_init();
    let answer = bench.serve(&request(26, Raw::new().u32(8).u32(0).zeroes(56)));
    assert_eq!(answer, Answer::Fine(Raw::new().u32(7).u32(45).zeroes(56).0));
    assert_eq!(bench.calls(), [""; 0]);
    assert_eq!(bench.serve(&request(17, Raw::new())), Answer::Error(libc::EIO));
}

#[test]
fn init_of_too_old_a_client_is_refused() {
    for (major, minor) in [(7, 26), (6, 99), (0, 0)] {
        let bench = Bench::before_init();
        let said = Raw::new().u32(major).u32(minor).zeroes(56);
        bench.check_refused(26, said, libc::EPROTO);
    }
}

#[test]
fn init_that_the_file_system_refuses_begins_nothing() {
    let bench = Bench::before_init();
    bench.fail(Failure::Errno(libc::EPROTO));
    assert_eq!(bench.serve(&init(45, InitFlags::NONE)), Answer::Error(libc::EPROTO));
    assert_eq!(bench.serve(&request(17, Raw::new())), Answer::Error(libc::EIO));
}

#[test]
fn second_init_ends_the_session_and_begins_another() {
    let bench = Bench::new();
    assert!(matches!(bench.serve(&init(45, InitFlags::NONE)), Answer::Fine(_)));
    assert_eq!(bench.calls(), ["end", "begin"]);
}

#[test]
fn destroy_ends_the_session() {
    let bench = Bench::new();
    bench.check(38, Raw::new(), "end", Raw::new());
    bench.check_refused(3, Raw::new().zeroes(16), libc::EIO);
}

#[test]
fn end_of_the_client_ends_the_session() {
    let bench = Bench::new();
    bench.server.end();
    assert_eq!(bench.calls(), ["end"]);
    bench.check_refused(3, Raw::new().zeroes(16), libc::EIO);
}

#[test]
fn nothing_is_called_before_init() {
    let bench = Bench::before_init();
    for opcode in 1..=60 {
        let answer = bench.serve(&request(opcode, Raw::new().zeroes(200)));
        let expected = match opcode {
            2 | 36 | 41 | 42 => Answer::Nothing,
            7 | 19 | 54.. => Answer::Error(libc::ENOSYS),
            26 => Answer::Error(libc::EPROTO),
            38 => Answer::Fine(Vec::new()),
            _ => Answer::Error(libc::EIO),
        };
        assert_eq!(answer, expected, "opcode {opcode}");
    }
    assert_eq!(bench.calls(), [""; 0]);
}

#[test]
fn operations_that_there_are_not_are_enosys() {
    let bench = Bench::new();
    for opcode in [0, 7, 19, 37, 40, 48, 49, 54, 4096, u32::MAX] {
        bench.check_refused(opcode, Raw::new().zeroes(64), libc::ENOSYS);
    }
}

#[test]
fn interrupt_and_notify_reply_are_not_answered() {
    let bench = Bench::new();
    for opcode in [36, 41] {
        assert_eq!(bench.serve(&request(opcode, Raw::new().zeroes(40))), Answer::Nothing);
    }
    assert_eq!(bench.calls(), [""; 0]);
}

#[test]
fn operations_are_counted_when_they_are_done() {
    let bench = Bench::new();
    bench.serve(&request(17, Raw::new()));
    bench.serve(&request(17, Raw::new()));
    bench.serve(&request(1, Raw::new()));
    bench.serve(&request(4096, Raw::new()));
    let counts: Vec<_> = bench.server.counts().collect();
    assert_eq!(counts, [("LOOKUP", 1), ("STATFS", 2), ("INIT", 1), ("unknown", 1)]);
    assert_eq!(bench.server.count(17), 2);
}

#[test]
fn session_ends_when_no_request_of_it_is_being_served() {
    let bench = Bench::new();
    let passing = bench.server.session.gate.pass();
    for changes in [init(45, InitFlags::NONE), request(38, Raw::new())] {
        let room = Room::new(ROOM);
        let outcome = bench.server.serve(&Bytes::new(&changes), &room, false);
        assert_eq!(outcome, Outcome::WouldWait);
        assert_eq!(bench.calls(), [""; 0]);
    }
    drop(passing);
    assert_eq!(bench.serve(&request(38, Raw::new())), Answer::Fine(Vec::new()));
    assert_eq!(bench.calls(), ["end"]);
}

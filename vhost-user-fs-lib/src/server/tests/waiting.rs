// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Requests that are put off, and those that are refused.

use super::*;
use crate::server::{may_unlock, refuse};

#[test]
fn request_that_would_wait_is_served_again_where_it_may() {
    let bench = Bench::new();
    bench.fail(Failure::WouldWait);
    let said = request(20, Raw::new().u64(3).u64(0));
    let room = Room::new(ROOM);
    let outcome = bench.server.serve(&Bytes::new(&said), &room, false);
    assert_eq!(outcome, Outcome::WouldWait);
    assert_eq!(room.into_bytes(), [0; ROOM]);
    assert_eq!(bench.server.count(20), 0);
    // It may wait, and does not.
    assert_eq!(bench.serve(&said), Answer::Error(libc::EIO));
    assert_eq!(bench.server.count(20), 1);
}

#[test]
fn refused_request_is_answered_with_an_error_and_nothing_else() {
    let said = request(33, Raw::new().zeroes(48));
    let room = Room::new(ROOM);
    assert_eq!(refuse(&Bytes::new(&said), &room, libc::EINTR), 16);
    assert_eq!(parse(&room.into_bytes()[..16]), Answer::Error(libc::EINTR));
}

#[test]
fn refused_request_that_wants_no_answer_gets_none() {
    for said in [request(2, Raw::new().u64(1)), request(36, Raw::new().u64(1)), vec![1; 39]] {
        let room = Room::new(ROOM);
        assert_eq!(refuse(&Bytes::new(&said), &room, libc::EIO), 0);
        assert_eq!(room.into_bytes(), [0; ROOM]);
    }
    let said = request(3, Raw::new());
    assert_eq!(refuse(&Bytes::new(&said), &Room::new(15), libc::EIO), 0);
}

#[test]
fn locks_are_given_up_by_some_operations_alone() {
    for opcode in [18, 25, 26, 32, 33, 38] {
        assert!(may_unlock(&Bytes::new(&request(opcode, Raw::new()))), "{opcode}");
    }
    for opcode in [1, 3, 14, 15, 16, 31, 99] {
        assert!(!may_unlock(&Bytes::new(&request(opcode, Raw::new()))), "{opcode}");
    }
}

#[test]
fn waiting_request_for_a_file_that_was_closed_is_interrupted() {
    let bench = Bench::new();
    bench.fail(Failure::EBADF);
    let said = request(33, Raw::new().u64(3).u64(0).u64(0).u64(1).u32(1).u32(0).u64(0));
    let room = Room::new(ROOM);
    assert_eq!(bench.server.serve_again(&Bytes::new(&said), &room), Outcome::Done(16));
    assert_eq!(parse(&room.into_bytes()[..16]), Answer::Error(libc::EINTR));
}

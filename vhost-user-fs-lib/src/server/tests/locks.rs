// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Locks.

use super::*;

/// `fuse_lk_in`.
fn lk(start: u64, end: u64, kind: u32, flags: u32) -> Raw {
    Raw::new().u64(3).u64(0xaa).u64(start).u64(end).u32(kind).u32(77).u32(flags).u32(0)
}

const END: u64 = i64::MAX.unsigned_abs();

#[test]
fn getlk_is_answered_with_24_bytes() {
    let bench = Bench::new();
    assert_eq!(lk(0, 0, 0, 0).0.len(), 48);
    let call = "get_lock abc 3 aa Lock { start: 5, end: 9, kind: Exclusive, pid: 77 } false";
    let out = Raw::new().u64(1).u64(2).u32(1).u32(3);
    bench.check(31, lk(5, 9, 1, 0), call, out);
}

#[test]
fn setlk_and_setlkw_take_locks_of_records_and_of_whole_files() {
    let bench = Bench::new();
    let call = |kind, whole| {
        format!("set_lock abc 3 aa Lock {{ start: 0, end: {END}, kind: {kind}, pid: 77 }} {whole}")
    };
    bench.check(32, lk(0, END, 0, 0), &call("Shared", false), Raw::new());
    bench.check(33, lk(0, END, 1, 1), &call("Exclusive", true), Raw::new());
    bench.check(33, lk(0, END, 2, 0), &call("Unlocked", false), Raw::new());
}

#[test]
fn setlkw_that_is_in_the_way_of_another_is_to_be_served_again() {
    let bench = Bench::new();
    bench.fail(Failure::EAGAIN);
    let said = request(33, lk(0, END, 1, 0));
    for may_wait in [false, true] {
        let room = Room::new(ROOM);
        let outcome = bench.server.serve(&Bytes::new(&said), &room, may_wait);
        assert_eq!(outcome, Outcome::Locked);
        assert_eq!(room.into_bytes(), [0; ROOM]);
    }
    let said = request(32, lk(0, END, 1, 0));
    assert_eq!(bench.serve(&said), Answer::Error(libc::EAGAIN));
}

#[test]
fn locks_that_were_not_agreed_upon_are_the_clients_own() {
    let bench = Bench::with(InitFlags::POSIX_LOCKS);
    bench.check_refused(32, lk(0, END, 1, 1), libc::ENOSYS);
    let bench = Bench::with(InitFlags::FLOCK_LOCKS);
    for opcode in [31, 32, 33] {
        bench.check_refused(opcode, lk(0, END, 1, 0), libc::ENOSYS);
    }
}

#[test]
fn locks_of_no_range_or_kind_are_refused() {
    let bench = Bench::new();
    for lock in [lk(2, 1, 0, 0), lk(0, END + 1, 0, 0), lk(0, 1, 3, 0), lk(0, 1, u32::MAX, 0)] {
        for opcode in [31, 32, 33] {
            bench.check_refused(opcode, lock.clone(), libc::EINVAL);
        }
    }
}

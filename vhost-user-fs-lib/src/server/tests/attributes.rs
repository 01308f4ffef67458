// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! GETATTR, SETATTR, STATX, STATFS, ACCESS, SYNCFS.

use super::*;

fn attr_out() -> Raw {
    Raw::new().u64(2).u32(0).u32(0).raw(&attr().0)
}

#[test]
fn getattr_is_answered_with_104_bytes() {
    let bench = Bench::new();
    assert_eq!(attr_out().0.len(), 104);
    bench.check(3, Raw::new().u32(0).u32(0).u64(9), "attributes abc -", attr_out());
}

#[test]
fn getattr_has_a_handle_if_it_says_so() {
    let bench = Bench::new();
    bench.check(3, Raw::new().u32(1).u32(0).u64(9), "attributes abc Handle(9)", attr_out());
}

#[test]
fn statx_is_answered_with_288_bytes() {
    let bench = Bench::new();
    let head = Raw::new().u64(2).u32(0).u32(0).zeroes(16);
    let ids = Raw::new().u32(2).u32(8).u32(9).u16(0o100_644).u16(0);
    let sizes = Raw::new().u64(5).u64(6).u64(7).u64(0);
    let time = |seconds, nanoseconds| Raw::new().u64(seconds).u32(nanoseconds).u32(0).0;
    let times = [time(10, 1), time(40, 4), time(30, 3), time(20, 2)].concat();
    let stat = Raw::new().u32(0xfff).u32(512).u64(0).raw(&ids.0).raw(&sizes.0).raw(&times);
    let out = head.raw(&stat.0).zeroes(16 + 112);
    assert_eq!(out.0.len(), 288);
    let said = Raw::new().u32(1).u32(0).u64(3).u32(0).u32(0xfff);
    bench.check(52, said, "attributes abc Handle(3)", out);
}

/// `fuse_setattr_in` with these fields.
fn setattr(valid: u32) -> Raw {
    let head = Raw::new().u32(valid).u32(0).u64(0x1f).u64(1234).u64(0);
    let times = Raw::new().u64(100).u64(200).u64(300).u32(11).u32(22).u32(33);
    head.raw(&times.0).u32(0o600).u32(0).u32(501).u32(502).u32(0)
}

#[test]
fn setattr_changes_what_is_valid() {
    let bench = Bench::new();
    assert_eq!(setattr(0).0.len(), 88);
    bench.check(4, setattr(0), "set abc - - - - - - - false", attr_out());
    bench.check(4, setattr(0xf), "set abc - 384 501 502 1234 - - false", attr_out());
    let times =
        "At(Time { seconds: 100, nanoseconds: 11 }) At(Time { seconds: 200, nanoseconds: 22 })";
    let call = format!("set abc Handle(31) - - - - {times} true");
    bench.check(4, setattr(1 << 4 | 1 << 5 | 1 << 6 | 1 << 11), &call, attr_out());
    bench.check(4, setattr(1 << 4 | 1 << 7), "set abc - - - - - Now - false", attr_out());
}

#[test]
fn statfs_is_answered_with_80_bytes() {
    let bench = Bench::new();
    let numbers = Raw::new().u64(1).u64(2).u64(3).u64(4).u64(5).u32(4096).u32(255).u32(512);
    let out = numbers.zeroes(28);
    assert_eq!(out.0.len(), 80);
    bench.check(17, Raw::new(), "statfs abc", out);
}

#[test]
fn access_and_syncfs_are_answered_with_nothing() {
    let bench = Bench::new();
    bench.check(34, Raw::new().u32(5).u32(0), "access abc 5", Raw::new());
    bench.check(50, Raw::new().u64(0), "sync_all abc", Raw::new());
}

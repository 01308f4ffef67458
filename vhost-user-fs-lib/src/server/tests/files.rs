// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Open files.

use super::recorder::TEXT;
use super::*;

fn read_in(handle: u64, offset: u64, size: u32) -> Raw {
    Raw::new().u64(handle).u64(offset).u32(size).u32(0).u64(0).u32(0).u32(0)
}

fn write_in(size: u32, write_flags: u32, data: &[u8]) -> Raw {
    let said = Raw::new().u64(3).u64(4).u32(size).u32(write_flags).u64(0).u32(0x4000).u32(0);
    said.raw(data)
}

#[test]
fn open_is_answered_with_16_bytes() {
    let bench = Bench::new();
    let out = Raw::new().u64(0xfeed).u32(2).u32(0);
    bench.check(14, Raw::new().u32(0x8002).u32(1), "open abc 8002 true", out.clone());
    bench.check(27, Raw::new().u32(0x10000).u32(0), "open_directory abc 10000", out);
}

#[test]
fn read_is_answered_with_the_bytes() {
    let bench = Bench::new();
    assert_eq!(read_in(1, 2, 3).0.len(), 40);
    bench.check(15, read_in(3, 7, 4096), "read abc 3 7 4096", Raw::new().raw(TEXT));
    bench.check(15, read_in(3, 7, 4), "read abc 3 7 4", Raw::new().raw(&TEXT[..4]));
    bench.check(15, read_in(3, 7, 0), "read abc 3 7 0", Raw::new());
}

#[test]
fn read_is_of_no_more_than_there_is_room_for() {
    let bench = Bench::new();
    let answer = bench.serve_in(&request(15, read_in(3, 7, u32::MAX)), 16 + 5);
    assert_eq!(answer, Answer::Fine(TEXT[..5].to_vec()));
    assert_eq!(bench.calls(), ["read abc 3 7 5"]);
    bench.serve_in(&request(15, read_in(3, 7, u32::MAX)), (1 << 20) + 4096);
    assert_eq!(bench.calls(), ["read abc 3 7 1048576"]);
}

#[test]
fn read_that_fails_has_no_bytes() {
    let bench = Bench::new();
    bench.fail(Failure::EBADF);
    assert_eq!(bench.serve(&request(15, read_in(3, 7, 4))), Answer::Error(libc::EBADF));
}

#[test]
fn write_takes_the_bytes_behind_its_arguments() {
    let bench = Bench::new();
    assert_eq!(write_in(0, 0, b"").0.len(), 40);
    let said = write_in(3, 5, b"abc");
    let out = Raw::new().u32(3).u32(0);
    bench.check(16, said, "write abc 3 4 abc true true 4000", out);
    let said = write_in(2, 0, b"surplus");
    let out = Raw::new().u32(2).u32(0);
    bench.check(16, said, "write abc 3 4 su false false 4000", out);
}

#[test]
fn write_says_who_writes_and_what_goes_by_it() {
    let bench = Bench::new();
    for (flags, how) in [(1, "true false"), (2, "false false"), (4, "false true")] {
        let call = format!("write abc 3 4 a {how} 4000");
        bench.check(16, write_in(1, flags, b"a"), &call, Raw::new().u32(1).u32(0));
    }
}

#[test]
fn write_of_more_than_was_agreed_on_writes_nothing() {
    let bench = Bench::new();
    let most = 1 << 20;
    let data = vec![0; most + 1];
    let size = |len: usize| u32::try_from(len).unwrap();
    bench.check_refused(16, write_in(size(most + 1), 0, &data), libc::EINVAL);
    let answer = bench.serve(&request(16, write_in(size(most), 0, &data[1..])));
    assert!(matches!(answer, Answer::Fine(_)), "{answer:?}");
}

#[test]
fn write_of_more_than_there_is_writes_nothing() {
    let bench = Bench::new();
    for size in [4, 1 << 20, u32::MAX] {
        bench.check_refused(16, write_in(size, 0, b"abc"), libc::EINVAL);
    }
}

#[test]
fn flush_and_release_have_an_owner() {
    let bench = Bench::new();
    let said = Raw::new().u64(3).u64(0).u64(0xaa);
    bench.check(25, said, "flush abc 3 aa", Raw::new());
    for (flags, call) in [(0, "false false"), (1, "true false"), (2, "false true")] {
        let said = Raw::new().u64(3).u32(0).u32(flags).u64(0xaa);
        bench.check(18, said, &format!("release abc 3 aa {call}"), Raw::new());
    }
    bench.check(29, Raw::new().u64(3).zeroes(16), "release_directory abc 3", Raw::new());
}

#[test]
fn fsync_is_of_all_or_of_data() {
    let bench = Bench::new();
    bench.check(20, Raw::new().u64(3).u32(0).u32(0), "sync abc 3 false", Raw::new());
    bench.check(20, Raw::new().u64(3).u32(1).u32(0), "sync abc 3 true", Raw::new());
    bench.check(30, Raw::new().u64(3).u32(1).u32(0), "sync_directory abc 3 true", Raw::new());
}

#[test]
fn fallocate_and_lseek_have_offsets() {
    let bench = Bench::new();
    let said = Raw::new().u64(3).u64(10).u64(20).u32(1).u32(0);
    bench.check(43, said, "allocate abc 3 1 10 20", Raw::new());
    let said = Raw::new().u64(3).u64(10).u32(4).u32(0);
    bench.check(46, said, "seek abc 3 10 4", Raw::new().u64(11));
}

#[test]
fn copy_file_range_counts_in_32_bits_or_in_64() {
    let bench = Bench::new();
    let said = |len| Raw::new().u64(1).u64(2).u64(0xdef).u64(3).u64(4).u64(len).u64(0);
    let call =
        |len: u64| format!("copy (Inode(2748), Handle(1), 2) (Inode(3567), Handle(3), 4) {len} 0");
    bench.check(47, said(5), &call(5), Raw::new().u32(5).u32(0));
    bench.check(47, said(1 << 40), &call(0xffff_f000), Raw::new().u32(0xffff_f000).u32(0));
    bench.check(53, said(1 << 40), &call(1 << 40), Raw::new().u64(1 << 40));
}

#[test]
fn ioctl_has_an_argument_before_and_after() {
    let bench = Bench::new();
    let said = |input: &[u8], size, room| {
        Raw::new().u64(3).u32(0).u32(0x6601).u64(0).u32(size).u32(room).raw(input)
    };
    let out = Raw::new().zeroes(16).raw(b"output");
    bench.check(39, said(b"in", 2, 8), "ioctl abc 3 6601 in 8", out);
    let out = Raw::new().zeroes(16).raw(b"ou");
    bench.check(39, said(b"", 0, 2), "ioctl abc 3 6601  2", out);
    let answer = bench.serve_in(&request(39, said(b"", 0, 8)), 16 + 16 + 3);
    assert_eq!(answer, Answer::Fine(Raw::new().zeroes(16).raw(b"out").0));
    assert_eq!(bench.calls(), ["ioctl abc 3 6601  3"]);
    bench.check_refused(39, said(b"in", 3, 8), libc::EINVAL);
    bench.check_refused(39, said(b"in", u32::MAX, 8), libc::EINVAL);
    bench.check_refused(39, said(b"", 0, 1 << 14), libc::EINVAL);
    let unrestricted = Raw::new().u64(3).u32(2).u32(0x6601).u64(0).u64(0);
    bench.check_refused(39, unrestricted, libc::ENOTTY);
}

#[test]
fn error_that_linux_does_not_know_is_eio() {
    for errno in [0, -1, 4096, i32::MIN, i32::MAX] {
        let bench = Bench::new();
        bench.fail(Failure::Errno(errno));
        assert_eq!(bench.serve(&request(17, Raw::new())), Answer::Error(libc::EIO));
    }
    let bench = Bench::new();
    bench.fail(Failure::Errno(4095));
    assert_eq!(bench.serve(&request(17, Raw::new())), Answer::Error(4095));
}

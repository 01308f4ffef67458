// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! READDIR and READDIRPLUS.

use super::*;

fn read_in(offset: u64, size: u32) -> Raw {
    Raw::new().u64(3).u64(offset).u32(size).u32(0).u64(0).u32(0).u32(0)
}

/// `fuse_dirent` with its name, up to the next multiple of 8 bytes.
fn dirent(at: u64, name: &[u8]) -> Vec<u8> {
    let len = u32::try_from(name.len()).unwrap();
    let mut bytes = Raw::new().u64(at + 100).u64(at).u32(len).u32(4).raw(name).0;
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

#[test]
fn readdir_is_answered_with_records_of_multiples_of_8_bytes() {
    let bench = Bench::new();
    let records = [dirent(1, b"."), dirent(2, b"eight888"), dirent(3, b"a")];
    assert_eq!(records.each_ref().map(Vec::len), [32, 32, 32]);
    let out = Raw::new().raw(&records.concat());
    bench.check(28, read_in(0, 4096), "read_directory abc 3 0 false", out);
    let out = Raw::new().raw(&dirent(3, b"a"));
    bench.check(28, read_in(2, 4096), "read_directory abc 3 2 false", out);
    bench.check(28, read_in(3, 4096), "read_directory abc 3 3 false", Raw::new());
}

#[test]
fn readdirplus_has_an_entry_before_each_record() {
    let bench = Bench::new();
    let plus = |entry: Raw, record: Vec<u8>| entry.raw(&record).0;
    let records = [
        plus(Raw::new().zeroes(128), dirent(1, b".")),
        plus(entry(), dirent(2, b"eight888")),
        plus(entry(), dirent(3, b"a")),
    ];
    let out = Raw::new().raw(&records.concat());
    bench.check(44, read_in(0, 4096), "read_directory abc 3 0 true", out);
}

#[test]
fn records_are_whole_and_as_many_as_fit() {
    let bench = Bench::new();
    let all = [dirent(1, b"."), dirent(2, b"eight888"), dirent(3, b"a")].concat();
    for (size, fits) in [(0, 0), (31, 0), (32, 32), (63, 32), (64, 64), (95, 64), (96, 96)] {
        let fits = Answer::Fine(all[..fits].to_vec());
        assert_eq!(bench.serve(&request(28, read_in(0, size))), fits, "asked for {size}");
        let room = 16 + usize::try_from(size).unwrap();
        let answer = bench.serve_in(&request(28, read_in(0, u32::MAX)), room);
        assert_eq!(answer, fits, "room for {size}");
    }
}

#[test]
fn what_was_added_before_an_error_is_answered() {
    let bench = Bench::new();
    bench.fail(Failure::EIO);
    let out = Answer::Fine(dirent(3, b"a"));
    assert_eq!(bench.serve(&request(28, read_in(2, 4096))), out);
    assert_eq!(bench.serve(&request(28, read_in(3, 4096))), Answer::Error(libc::EIO));
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Transfers between the parts of a request and a file.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

use super::bench::{Bench, memory};
use super::driver::{Driver, Layout, buffer, region};
use crate::ring::Request;
use crate::ring::shared::WRITE;

const LAYOUT: Layout = Layout { start: 0, size: 8 };
/// Where the buffers lie, apart from each other.
const READABLE: u64 = 0x1000;
const WRITABLE: u64 = 0x2000;
const APART: u64 = 0x100;

/// A request of three pieces of 4 bytes each way; the readable ones hold `ring of gold`.
fn with_request(test: impl FnOnce(&Request, &Driver<'_>)) {
    let memory = memory(&[region(0, 0x4000)]);
    let (mut bench, mut driver) = (Bench::new(&memory, LAYOUT), Driver::new(&memory, LAYOUT));
    let piece = |start: u64, index: u64, flags| buffer(start + index * APART, 4, flags);
    let chain: Vec<_> = (0..3)
        .map(|index| piece(READABLE, index, 0))
        .chain((0..3).map(|index| piece(WRITABLE, index, WRITE)))
        .collect();
    for (index, bytes) in (0..).zip([b"ring", b" of ", b"gold"]) {
        driver.write(READABLE + index * APART, bytes);
    }
    driver.write_chain(0, &chain);
    driver.offer(0);
    driver.show();
    let request = bench.request();
    test(&request, &driver);
    bench.complete(request, 0);
}

fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(content).expect("written");
    file
}

#[test]
fn bytes_of_a_range_are_written_to_a_file_across_pieces() {
    with_request(|request, _| {
        let file = file(b"................");
        let written = request.readable().write_to(2..9, file.as_fd(), 3, 0);
        assert_eq!(written.expect("written"), 7);
        let mut content = String::new();
        std::io::Seek::rewind(&mut &file).expect("rewound");
        (&file).read_to_string(&mut content).expect("read");
        assert_eq!(content, "...ng of g......");
    });
}

#[test]
fn bytes_of_a_file_are_read_to_a_range_across_pieces() {
    with_request(|request, driver| {
        let file = file(b"0123456789");
        request.writable().write(0, b"------------").expect("room");
        let read = request.writable().read_from(3..11, file.as_fd(), 1, 0);
        assert_eq!(read.expect("read"), 8);
        let mut bytes = [0; 12];
        for (index, bytes) in (0..).zip(bytes.chunks_exact_mut(4)) {
            driver.memory(WRITABLE + index * APART, 4).copy_to(bytes);
        }
        assert_eq!(&bytes, b"---12345678-");
    });
}

#[test]
fn range_beyond_the_end_is_cut() {
    with_request(|request, _| {
        let file = file(b"0123456789");
        let read = request.writable().read_from(8..usize::MAX, file.as_fd(), 0, 0);
        assert_eq!(read.expect("read"), 4);
        let nothing = request.writable().read_from(12..20, file.as_fd(), 0, 0);
        assert_eq!(nothing.expect("nothing to do"), 0);
    });
}

#[test]
fn end_of_the_file_ends_a_read() {
    with_request(|request, _| {
        let read = request.writable().read_from(0..12, file(b"01234").as_fd(), 3, 0);
        assert_eq!(read.expect("read"), 2);
    });
}

#[test]
fn refusal_of_the_host_is_told() {
    with_request(|request, _| {
        let (_reader, writer) = std::io::pipe().expect("a pipe");
        let error = request.writable().read_from(0..12, writer.as_fd(), 0, 0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESPIPE));
    });
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Chains that a driver may make, and all those that it may not.

use std::sync::Arc;

use super::bench::{Bench, memory};
use super::driver::{Driver, Layout, buffer, bytes_of, region};
use crate::causes;
use crate::memory::{MemoryMap, OutsideMemory};
use crate::ring::chain::ChainError;
use crate::ring::shared::{Descriptor, INDIRECT, NEXT, WRITE};
use crate::ring::{Buffers, Piece, Popped, RingBroken};

const SIZE: u16 = 8;
const LAYOUT: Layout = Layout { start: 0, size: SIZE };

/// Where buffers lie, all in the first region.
const BUFFERS: u64 = 0x1000;
/// Where the first region ends and the second begins.
const BORDER: u64 = 0x4000;
/// Where the second region ends and nothing begins.
const END: u64 = 0x8000;
/// A region on its own.
const ISLAND: u64 = 0x1_0000_0000;

/// Two regions that touch, and one far away.
fn regions() -> Arc<MemoryMap> {
    memory(&[region(0, BORDER), region(BORDER, END - BORDER), region(ISLAND, 0x1000)])
}

fn with_ring<R>(test: impl FnOnce(&mut Bench, &mut Driver<'_>) -> R) -> R {
    let memory = regions();
    test(&mut Bench::new(&memory, LAYOUT), &mut Driver::new(&memory, LAYOUT))
}

/// Makes the chain at `head` available and takes it: it is refused, and given back with length 0.
fn refused(bench: &mut Bench, driver: &mut Driver<'_>, head: u16) -> ChainError {
    driver.offer(head);
    driver.show();
    let error = match bench.pop() {
        Ok(Some(Popped::Bad { head: bad, error })) if bad == head => error,
        Ok(Some(Popped::Request(request))) => {
            bench.complete(request, 0);
            panic!("the chain is taken for a good one")
        }
        _ => panic!("the chain is not there"),
    };
    assert_eq!(bench.ledger.in_flight(), 0);
    assert_eq!(driver.take_used(), None, "nothing is used before it is published");
    bench.publish();
    assert_eq!(driver.take_all_used(), [(head.into(), 0)]);
    error
}

/// The refusal of this chain.
fn refusal(chain: &[Descriptor]) -> ChainError {
    with_ring(|bench, driver| {
        driver.write_chain(1, chain);
        refused(bench, driver, 1)
    })
}

/// The refusal of one indirect descriptor with `len` bytes of this table.
fn refusal_of_table(table: &[Descriptor], len: u32) -> ChainError {
    with_ring(|bench, driver| {
        driver.write_table(BUFFERS, table);
        driver.write_descriptor(3, buffer(BUFFERS, len, INDIRECT));
        refused(bench, driver, 3)
    })
}

/// Lengths of the pieces of the device-readable and of the device-writable part.
fn pieces(bench: &mut Bench, driver: &mut Driver<'_>, head: u16) -> [Vec<usize>; 2] {
    driver.offer(head);
    driver.show();
    let request = bench.request();
    let lengths = [request.readable(), request.writable()].map(lengths);
    bench.complete(request, 0);
    lengths
}

fn lengths(buffers: &Buffers) -> Vec<usize> {
    let mut pieces = Vec::new();
    buffers.fill(0..buffers.len(), &mut pieces);
    pieces.iter().map(Piece::len).collect()
}

fn readable(len: u32) -> Descriptor {
    buffer(BUFFERS, len, 0)
}

fn writable(len: u32) -> Descriptor {
    buffer(BUFFERS, len, WRITE)
}

#[test]
fn chain_is_taken_apart_by_direction() {
    with_ring(|bench, driver| {
        driver.write_chain(2, &[readable(16), readable(32), writable(64), writable(1)]);
        assert_eq!(pieces(bench, driver, 2), [vec![16, 32], vec![64, 1]]);
    });
}

#[test]
fn chain_as_long_as_the_ring_is_taken() {
    with_ring(|bench, driver| {
        driver.write_chain(0, &[writable(1); SIZE as usize]);
        assert_eq!(pieces(bench, driver, 0), [vec![], vec![1; SIZE.into()]]);
    });
}

#[test]
fn buffer_across_touching_regions_is_split_at_the_border() {
    with_ring(|bench, driver| {
        driver.write_chain(0, &[buffer(BORDER - 8, 24, 0), buffer(BORDER - 1, 2, WRITE)]);
        driver.write(BORDER - 8, b"all of ");
        driver.write(BORDER, b"two regions.");
        driver.offer(0);
        driver.show();
        let request = bench.request();
        assert_eq!([request.readable(), request.writable()].map(lengths), [[8, 16], [1, 1]]);
        let mut bytes = [0; 20];
        request.readable().read(0, &mut bytes).expect("as many");
        assert_eq!(&bytes, b"all of \0two regions.");
        request.writable().write(0, b"+-").expect("as many");
        request.readable().read(7, &mut bytes[..2]).expect("as many");
        assert_eq!(&bytes[..2], b"+-");
        bench.complete(request, 2);
    });
}

#[test]
fn buffer_that_is_just_a_whole_region_is_taken() {
    with_ring(|bench, driver| {
        driver.write_chain(0, &[buffer(ISLAND, 0x1000, WRITE)]);
        assert_eq!(pieces(bench, driver, 0), [vec![], vec![0x1000]]);
    });
}

#[test]
fn indirect_table_longer_than_the_ring_is_taken() {
    with_ring(|bench, driver| {
        let table = [readable(3); 4 * SIZE as usize];
        driver.write_table(BUFFERS, &table);
        driver.write_descriptor(0, buffer(BUFFERS, 16 * 4 * u32::from(SIZE), INDIRECT));
        assert_eq!(pieces(bench, driver, 0), [vec![3; 4 * usize::from(SIZE)], vec![]]);
    });
}

#[test]
fn indirect_table_after_direct_descriptors_is_taken() {
    with_ring(|bench, driver| {
        driver.write_table(BUFFERS, &[readable(2), writable(3)]);
        driver.write_chain(4, &[readable(1), buffer(BUFFERS, 32, INDIRECT)]);
        assert_eq!(pieces(bench, driver, 4), [vec![1, 2], vec![3]]);
    });
}

#[test]
fn write_flag_of_an_indirect_descriptor_is_ignored() {
    with_ring(|bench, driver| {
        driver.write_table(BUFFERS, &[readable(2), writable(3)]);
        driver.write_descriptor(0, buffer(BUFFERS, 32, INDIRECT | WRITE));
        assert_eq!(pieces(bench, driver, 0), [vec![2], vec![3]]);
    });
}

#[test]
fn indirect_table_across_touching_regions_is_read_whole() {
    // The border is within the second entry, and then between the first and the second.
    for start in [BORDER - 24, BORDER - 16] {
        with_ring(|bench, driver| {
            let [first, second] = [readable(5), writable(7)];
            let first = Descriptor { flags: NEXT, next: 1, ..first };
            let table = [bytes_of(first), bytes_of(second)].concat();
            let (before, after) = table.split_at(usize::try_from(BORDER - start).unwrap());
            driver.write(start, before);
            driver.write(BORDER, after);
            driver.write_descriptor(0, buffer(start, 32, INDIRECT));
            assert_eq!(pieces(bench, driver, 0), [vec![5], vec![7]]);
        });
    }
}

#[test]
fn indirect_table_at_an_odd_address_is_read() {
    with_ring(|bench, driver| {
        driver.write_table(BUFFERS + 1, &[readable(5), writable(7)]);
        driver.write_descriptor(0, buffer(BUFFERS + 1, 32, INDIRECT));
        assert_eq!(pieces(bench, driver, 0), [vec![5], vec![7]]);
    });
}

#[test]
fn chain_goes_on_beyond_the_ring_is_refused() {
    with_ring(|bench, driver| {
        driver.write_descriptor(0, Descriptor { flags: NEXT, next: SIZE, ..readable(1) });
        let error = refused(bench, driver, 0);
        assert_eq!(error, ChainError::NextBeyond { index: SIZE, size: SIZE });
        assert_eq!(error.to_string(), "descriptor 8 is beyond ring size 8");
    });
}

#[test]
fn chain_with_a_loop_is_refused() {
    for (last, next) in [(0, 0), (1, 0), (SIZE - 1, SIZE / 2)] {
        with_ring(|bench, driver| {
            driver.write_chain(0, &vec![writable(1); usize::from(last) + 1]);
            driver.write_descriptor(last, Descriptor { flags: NEXT | WRITE, next, ..readable(1) });
            let error = refused(bench, driver, 0);
            assert_eq!(error, ChainError::TooLong { longest: SIZE.into() });
            assert_eq!(error.to_string(), "chain has more than 8 descriptors");
        });
    }
}

#[test]
fn chain_longer_than_the_device_allows_is_refused() {
    with_ring(|bench, driver| {
        bench.rules.longest = 3;
        driver.write_chain(0, &[readable(1); 3]);
        driver.write_chain(3, &[readable(1); 4]);
        assert_eq!(pieces(bench, driver, 0), [vec![1; 3], vec![]]);
        bench.publish();
        driver.take_all_used();
        assert_eq!(refused(bench, driver, 3), ChainError::TooLong { longest: 3 });
    });
}

#[test]
fn indirect_descriptors_count_with_the_direct_ones() {
    with_ring(|bench, driver| {
        bench.rules.longest = 3;
        driver.write_table(BUFFERS, &[readable(1); 3]);
        driver.write_chain(0, &[readable(1), buffer(BUFFERS, 48, INDIRECT)]);
        assert_eq!(refused(bench, driver, 0), ChainError::TooLong { longest: 3 });
    });
}

#[test]
fn indirect_table_with_a_loop_is_refused() {
    with_ring(|bench, driver| {
        let entry = Descriptor { flags: NEXT, next: 0, ..readable(1) };
        driver.write(BUFFERS, &bytes_of(entry));
        driver.write_descriptor(0, buffer(BUFFERS, 16, INDIRECT));
        assert_eq!(refused(bench, driver, 0), ChainError::TooLong { longest: 1024 });
    });
}

#[test]
fn empty_buffer_is_refused() {
    assert_eq!(refusal(&[readable(0)]), ChainError::Empty);
    assert_eq!(refusal(&[readable(1), writable(0)]), ChainError::Empty);
    assert_eq!(refusal_of_table(&[readable(1), readable(0)], 32), ChainError::Empty);
    assert_eq!(ChainError::Empty.to_string(), "descriptor of length 0");
}

#[test]
fn buffer_outside_guest_memory_is_refused() {
    for (start, len) in [
        (END, 1),
        (END - 1, 2),
        (BORDER - 1, 0x4002),
        (ISLAND - 1, 2),
        (ISLAND + 0xfff, 2),
        (u64::MAX, 1),
        (BUFFERS, u32::MAX),
    ] {
        let outside = OutsideMemory { start, len: len.into() };
        assert_eq!(refusal(&[buffer(start, len, 0)]), ChainError::Outside(outside));
        let table = [buffer(start, len, WRITE)];
        assert_eq!(refusal_of_table(&table, 16), ChainError::Outside(outside));
    }
}

#[test]
fn buffer_whose_end_wraps_is_refused() {
    let (start, len) = (u64::MAX - 3, 0x1008);
    let error = refusal(&[buffer(start, len, WRITE)]);
    assert_eq!(error, ChainError::Outside(OutsideMemory { start, len: len.into() }));
    assert_eq!(
        causes(&error),
        "descriptor's buffer: guest addresses 0xfffffffffffffffc + 0x1008 are not all guest memory"
    );
}

#[test]
fn readable_after_writable_is_refused() {
    let error = ChainError::ReadableAfterWritable;
    assert_eq!(refusal(&[readable(1), writable(1), readable(1)]), error);
    assert_eq!(refusal_of_table(&[writable(1), readable(1)], 32), error);
    assert_eq!(error.to_string(), "device-readable descriptor after a device-writable one");
}

#[test]
fn readable_table_after_writable_descriptor_is_refused() {
    with_ring(|bench, driver| {
        driver.write_table(BUFFERS, &[readable(1)]);
        driver.write_chain(0, &[writable(1), buffer(BUFFERS, 16, INDIRECT)]);
        assert_eq!(refused(bench, driver, 0), ChainError::ReadableAfterWritable);
    });
}

#[test]
fn more_bytes_than_a_length_can_say_are_refused() {
    let error = refusal(&[readable(1), writable(u32::MAX)]);
    assert_eq!(error, ChainError::TooManyBytes);
    assert_eq!(error.to_string(), "buffers of more than 4 GiB");
}

#[test]
fn bytes_are_counted_over_the_whole_chain() {
    let (start, len) = (0x10_0000, 0x10_0000);
    let memory = memory(&[region(0, 0x10_0000), region(start, len)]);
    let mut driver = Driver::new(&memory, LAYOUT);
    let mut bench = Bench::new(&memory, LAYOUT);
    bench.rules.longest = 5000;
    let whole = buffer(start, 0x10_0000, WRITE);
    let last = buffer(start, 0xf_ffff, WRITE);
    driver.write_table(0x1000, &[vec![whole; 4095], vec![last]].concat());
    driver.write_table(0x2_0000, &vec![whole; 4096]);
    driver.write_descriptor(0, buffer(0x1000, 16 * 4096, INDIRECT));
    driver.write_descriptor(1, buffer(0x2_0000, 16 * 4096, INDIRECT));
    driver.offer(0);
    driver.show();
    let request = bench.request();
    assert_eq!(request.writable().len(), u32::MAX as usize);
    bench.complete(request, u32::MAX);
    bench.publish();
    assert_eq!(driver.take_all_used(), [(0, u32::MAX)]);
    assert_eq!(refused(&mut bench, &mut driver, 1), ChainError::TooManyBytes);
}

#[test]
fn indirect_descriptor_that_was_not_negotiated_is_refused() {
    with_ring(|bench, driver| {
        bench.rules.indirect = false;
        driver.write_table(BUFFERS, &[readable(1)]);
        driver.write_descriptor(0, buffer(BUFFERS, 16, INDIRECT));
        let error = refused(bench, driver, 0);
        assert_eq!(error, ChainError::IndirectNotAcked);
        assert_eq!(error.to_string(), "indirect descriptor, which the driver did not negotiate");
    });
}

#[test]
fn indirect_descriptor_within_a_table_is_refused() {
    let error = refusal_of_table(&[readable(1), buffer(BUFFERS, 16, INDIRECT)], 32);
    assert_eq!(error, ChainError::IndirectInIndirect);
    assert_eq!(error.to_string(), "indirect descriptor within an indirect table");
}

#[test]
fn indirect_descriptor_with_next_is_refused() {
    let error = refusal(&[buffer(BUFFERS, 16, INDIRECT), readable(1)]);
    assert_eq!(error, ChainError::IndirectWithNext);
    assert_eq!(error.to_string(), "indirect descriptor with NEXT");
}

#[test]
fn indirect_table_of_no_whole_entries_is_refused() {
    for len in [0, 1, 15, 17, u32::MAX] {
        let error = refusal_of_table(&[readable(1), readable(1)], len);
        assert_eq!(error, ChainError::IndirectLength { len });
        assert_eq!(error.to_string(), format!("indirect table of {len} bytes"));
    }
}

#[test]
fn indirect_table_outside_guest_memory_is_refused() {
    for (start, len) in [(END - 16, 32), (ISLAND - 8, 16), (u64::MAX - 15, 16), (0, 0xffff_fff0)] {
        let outside = OutsideMemory { start, len: len.into() };
        assert_eq!(refusal(&[buffer(start, len, INDIRECT)]), ChainError::Outside(outside));
    }
}

#[test]
fn indirect_chain_that_goes_on_beyond_its_table_is_refused() {
    let error = refusal_of_table(&[readable(1), readable(1)], 16);
    assert_eq!(error, ChainError::IndirectNextBeyond { index: 1, entries: 1 });
    assert_eq!(error.to_string(), "entry 1 is beyond an indirect table of 1");
}

#[test]
fn bad_chain_leaves_nothing_to_the_next_request() {
    with_ring(|bench, driver| {
        driver.write_chain(0, &[readable(9), writable(9), buffer(END, 9, WRITE)]);
        driver.write_chain(3, &[readable(2), writable(3)]);
        refused(bench, driver, 0);
        assert_eq!(pieces(bench, driver, 3), [vec![2], vec![3]]);
    });
}

#[test]
fn head_beyond_the_ring_breaks_it() {
    for head in [SIZE, u16::MAX] {
        with_ring(|bench, driver| {
            driver.offer(head);
            driver.show();
            let error = bench.pop().err().expect("broken");
            assert_eq!(error, RingBroken::Head { head, size: SIZE });
            assert_eq!(error.to_string(), format!("head {head} is beyond ring size 8"));
            assert_eq!(bench.ledger.next_avail(), 0);
        });
    }
}

#[test]
fn available_index_that_jumps_breaks_the_ring() {
    // Too far ahead, and backwards.
    for idx in [SIZE + 2, u16::MAX] {
        with_ring(|bench, driver| {
            driver.write_chain(0, &[readable(1)]);
            pieces(bench, driver, 0);
            driver.set_avail_idx(idx);
            for _ in 0..2 {
                let error = bench.pop().err().expect("broken");
                let ahead = idx.wrapping_sub(1);
                assert_eq!(error, RingBroken::AvailIndex { idx, next: 1, ahead, size: SIZE });
                assert_eq!(
                    error.to_string(),
                    format!("available index {idx} is {ahead} entries ahead of 1, ring size 8")
                );
            }
            assert_eq!(bench.ledger.next_avail(), 1);
        });
    }
}

#[test]
fn available_index_a_whole_ring_ahead_is_taken() {
    with_ring(|bench, driver| {
        for head in 0..SIZE {
            driver.write_chain(head, &[readable(1)]);
            driver.offer(head);
        }
        driver.show();
        let requests: Vec<_> = (0..SIZE).map(|_| bench.request()).collect();
        assert!(matches!(bench.pop(), Ok(None)));
        requests.into_iter().for_each(|request| bench.complete(request, 0));
    });
}

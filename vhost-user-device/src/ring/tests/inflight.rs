// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The in-flight region: what a back end leaves in it, and what the next one makes of that.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::bench::{Bench, memory};
use super::driver::{Driver, Layout, buffer, region};
use crate::causes;
use crate::memory::MemoryMap;
use crate::ring::shared::WRITE;
use crate::ring::{
    Inflight, InflightRegion, InflightShape, Popped, RingBroken, new_region, region_len,
};
use crate::sys::memfd;

const SIZE: u16 = 8;
const LAYOUT: Layout = Layout { start: 0, size: SIZE };
/// Bytes from one queue's part to the next: 16 + 16 * 8, rounded up to 64.
const STRIDE: u64 = 192;

/// Guest memory with a ring, each of whose descriptors is a chain of 16 writable bytes.
fn guest() -> Arc<MemoryMap> {
    let memory = memory(&[region(0, 0x4000)]);
    let driver = Driver::new(&memory, LAYOUT);
    for index in 0..SIZE {
        driver.write_descriptor(index, buffer(0x1000 + 16 * u64::from(index), 16, WRITE));
    }
    memory
}

const SHAPE: InflightShape = InflightShape { num_queues: 2, queue_size: SIZE };

/// The region of a device with two queues.
fn map(file: &File, num_queues: u16, queue_size: u16) -> Result<InflightRegion, String> {
    let len = file.metadata().expect("metadata").len();
    let file = file.try_clone().expect("a descriptor");
    let shape = InflightShape { num_queues, queue_size };
    InflightRegion::map(file, (0, len), shape, 2).map_err(|error| causes(&error))
}

/// A region for two queues as the front end keeps it; the tests use the second one.
struct Kept(File);

impl Kept {
    fn new() -> Self {
        Self(new_region(SHAPE).expect("a region"))
    }

    fn get<const N: usize>(&self, offset: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact_at(&mut bytes, STRIDE + offset).expect("bytes of the region");
        bytes
    }

    fn set(&self, offset: u64, bytes: &[u8]) {
        self.0.write_all_at(bytes, STRIDE + offset).expect("bytes of the region");
    }

    fn mark(&self, head: u64, counter: u64) {
        self.set(16 + 16 * head + 8, &counter.to_ne_bytes());
        self.set(16 + 16 * head, &[1]);
    }

    fn next(&self, head: u64, next: u16) {
        self.set(16 + 16 * head + 6, &next.to_ne_bytes());
    }

    fn last_batch(&self, head: u16, used_idx: u16) {
        self.set(12, &head.to_ne_bytes());
        self.set(14, &used_idx.to_ne_bytes());
    }

    /// The heads that are marked, by their counters.
    fn marked(&self) -> Vec<u16> {
        let counted = |head| (u64::from_ne_bytes(self.get(16 + 16 * u64::from(head) + 8)), head);
        let is_marked = |head: &u16| self.get(16 + 16 * u64::from(*head)) == [1];
        let mut heads: Vec<_> = (0..SIZE).filter(is_marked).map(counted).collect();
        heads.sort_unstable();
        heads.into_iter().map(|(_, head)| head).collect()
    }

    fn used_idx(&self) -> u16 {
        u16::from_ne_bytes(self.get(14))
    }

    fn part(&self) -> Option<Inflight> {
        let region = Arc::new(map(&self.0, 2, SIZE).expect("a region"));
        assert!(Inflight::new(&region, 2).is_none(), "there are two queues in it");
        Inflight::new(&region, 1)
    }

    /// A back end that takes over.
    fn back_end(&self, memory: &Arc<MemoryMap>) -> Bench {
        // What it is told where to start does not count.
        let mut bench = Bench::tracked_at(4711, self.part());
        bench.install(LAYOUT.device(memory), false);
        bench
    }

    /// Why a back end cannot take over.
    fn refusal(&self, memory: &Arc<MemoryMap>) -> String {
        let mut bench = Bench::tracked_at(0, self.part());
        let error = bench.ledger.install(LAYOUT.device(memory), false, None).expect_err("refused");
        assert!(bench.ledger.is_paused());
        error.to_string()
    }
}

fn show(driver: &mut Driver<'_>, heads: &[u16]) {
    heads.iter().for_each(|head| driver.offer(*head));
    driver.show();
}

fn heads_of(bench: &mut Bench) -> Vec<u16> {
    let mut heads = Vec::new();
    while let Some(popped) = bench.pop().expect("a ring") {
        let Popped::Request(request) = popped else { panic!("a bad chain") };
        heads.push(request.parts().head);
        bench.complete(request, 0);
    }
    heads
}

#[test]
fn new_region_is_laid_out_as_the_specification_says() {
    let kept = Kept::new();
    assert_eq!(kept.0.metadata().expect("metadata").len(), 2 * STRIDE);
    assert_eq!(region_len(SHAPE), 2 * STRIDE);
    let header = [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 0, 0, 0, 0];
    assert_eq!(kept.get(0), header);
    assert_eq!(kept.marked(), [0_u16; 0]);
}

#[test]
fn head_is_marked_from_taken_to_published() {
    let (kept, memory) = (Kept::new(), guest());
    let mut driver = Driver::new(&memory, LAYOUT);
    show(&mut driver, &[5, 2, 7]);
    let mut bench = kept.back_end(&memory);
    let [a, b, c] = [(); 3].map(|()| bench.request());
    assert_eq!(kept.marked(), [5, 2, 7]);
    bench.complete(c, 1);
    bench.complete(a, 2);
    assert_eq!((kept.marked(), kept.used_idx()), (vec![5, 2, 7], 0));
    bench.publish();
    assert_eq!((kept.marked(), kept.used_idx()), (vec![2], 2));
    bench.complete(b, 3);
    bench.publish();
    assert_eq!((kept.marked(), kept.used_idx()), (vec![], 3));
    // The group before the last one was 7 and then 5, the last one was 2.
    assert_eq!(u16::from_ne_bytes(kept.get(12)), 2);
    assert_eq!([5, 7].map(|head| kept.get(16 + 16 * head + 6)), [[7, 0], [0, 0]]);
    assert_eq!(kept.get(16 + 16 * 2 + 6), [5, 0]);
}

#[test]
fn chain_that_is_none_is_marked_until_published_as_well() {
    let (kept, memory) = (Kept::new(), guest());
    let mut driver = Driver::new(&memory, LAYOUT);
    driver.write_descriptor(3, buffer(0x1000, 0, 0));
    show(&mut driver, &[3]);
    let mut bench = kept.back_end(&memory);
    assert!(matches!(bench.pop(), Ok(Some(Popped::Bad { head: 3, .. }))));
    assert_eq!(kept.marked(), [3]);
    bench.publish();
    assert_eq!((kept.marked(), kept.used_idx()), (vec![], 1));
}

#[test]
fn request_that_is_handed_back_is_not_marked() {
    let (kept, memory) = (Kept::new(), guest());
    let mut driver = Driver::new(&memory, LAYOUT);
    show(&mut driver, &[3]);
    let mut bench = kept.back_end(&memory);
    let request = bench.request();
    bench.ledger.hand_back(request).expect("the newest");
    assert_eq!(kept.marked(), [0_u16; 0]);
    assert_eq!(heads_of(&mut bench), [3]);
}

#[test]
fn marked_heads_are_served_by_their_counters_before_the_ring() {
    let (kept, memory) = (Kept::new(), guest());
    let mut driver = Driver::new(&memory, LAYOUT);
    show(&mut driver, &[1, 4, 6, 0]);
    for (head, counter) in [(4, 9), (1, u64::from(u32::MAX)), (6, 3)] {
        kept.mark(head, counter);
    }
    let mut bench = kept.back_end(&memory);
    assert_eq!((bench.ledger.recovered(), bench.ledger.next_avail()), (3, 3));
    let first = bench.request();
    assert_eq!((first.parts().head, bench.ledger.recovered()), (6, 2));
    bench.complete(first, 0);
    assert_eq!(heads_of(&mut bench), [4, 1, 0]);
    assert_eq!(u64::from_ne_bytes(kept.get(16 + 8)), 1 << 32, "counters go on");
    bench.publish();
    assert_eq!((kept.marked(), kept.used_idx()), (vec![], 4));
}

#[test]
fn recovered_request_cannot_be_handed_back() {
    let (kept, memory) = (Kept::new(), guest());
    Driver::new(&memory, LAYOUT).set_used_idx(0);
    kept.mark(2, 0);
    let mut bench = kept.back_end(&memory);
    let request = bench.request();
    let request = bench.ledger.hand_back(request).expect_err("not from the ring");
    bench.complete(request, 0);
}

#[test]
fn group_whose_index_was_stored_is_finished() {
    let (kept, memory) = (Kept::new(), guest());
    let mut driver = Driver::new(&memory, LAYOUT);
    // Heads 1, 3 and 0 were given back, the index wrapped, and the first mark was cleared already.
    driver.set_used_idx(1);
    kept.last_batch(0, 0xfffe);
    for (head, next) in [(0, 3), (3, 1), (1, 6)] {
        kept.next(head, next);
    }
    [3, 1, 6].iter().zip(10..).for_each(|(head, counter)| kept.mark(*head, counter));
    driver.offer(7);
    let mut bench = kept.back_end(&memory);
    assert_eq!((kept.marked(), kept.used_idx()), (vec![6], 1));
    assert_eq!((bench.ledger.recovered(), bench.ledger.next_avail()), (1, 2));
    let request = bench.request();
    assert_eq!(request.parts().head, 6);
    bench.complete(request, 0);
    bench.publish();
    assert_eq!(u16::from_ne_bytes(kept.get(16 + 16 * 6 + 6)), 0, "linked to the group before");
}

#[test]
fn group_as_long_as_the_ring_is_finished() {
    let (kept, memory) = (Kept::new(), guest());
    Driver::new(&memory, LAYOUT).set_used_idx(SIZE);
    kept.last_batch(7, 0);
    for head in 0..SIZE {
        kept.mark(head.into(), 0);
        kept.next(head.into(), head.wrapping_sub(1) & (SIZE - 1));
    }
    let bench = kept.back_end(&memory);
    assert_eq!((kept.marked(), kept.used_idx()), (vec![], SIZE));
    assert_eq!((bench.ledger.recovered(), bench.ledger.next_avail()), (0, SIZE));
}

#[test]
fn ring_that_comes_back_is_not_recovered_again() {
    let (kept, memory) = (Kept::new(), guest());
    let mut driver = Driver::new(&memory, LAYOUT);
    show(&mut driver, &[1]);
    let mut bench = kept.back_end(&memory);
    let request = bench.request();
    bench.install(None, false);
    bench.complete(request, 5);
    assert_eq!(kept.marked(), [1], "nobody knows yet that it is done");
    bench.install(LAYOUT.device(&memory), false);
    assert_eq!(bench.ledger.recovered(), 0);
    bench.publish();
    assert_eq!((kept.marked(), kept.used_idx()), (vec![], 1));
    assert_eq!(driver.take_all_used(), [(1, 5)]);
}

#[test]
fn region_that_is_too_far_from_the_ring_is_refused() {
    let (kept, memory) = (Kept::new(), guest());
    let mut driver = Driver::new(&memory, LAYOUT);
    driver.set_used_idx(9);
    kept.mark(3, 0);
    let text = "in-flight region: 9 used elements are not accounted for, ring size 8";
    assert_eq!(kept.refusal(&memory), text);
    // Ahead of the ring.
    driver.set_used_idx(0xffff);
    let text = "in-flight region: 65535 used elements are not accounted for, ring size 8";
    assert_eq!(kept.refusal(&memory), text);
}

#[test]
fn region_without_a_mark_is_taken_for_a_ring_that_began_anew() {
    let (kept, memory) = (Kept::new(), guest());
    let mut driver = Driver::new(&memory, LAYOUT);
    kept.last_batch(SIZE, 300);
    show(&mut driver, &[2]);
    let mut bench = kept.back_end(&memory);
    assert_eq!((kept.used_idx(), bench.ledger.next_avail()), (0, 0));
    assert_eq!(heads_of(&mut bench), [2]);
}

#[test]
fn head_beyond_the_ring_in_a_group_is_refused() {
    let (kept, memory) = (Kept::new(), guest());
    Driver::new(&memory, LAYOUT).set_used_idx(2);
    kept.last_batch(1, 0);
    kept.mark(1, 0);
    kept.next(1, SIZE);
    assert_eq!(kept.refusal(&memory), "in-flight region: head 8 is beyond ring size 8");
}

#[test]
fn mark_beyond_a_ring_that_is_shorter_than_the_region_is_refused() {
    let (kept, memory) = (Kept::new(), guest());
    kept.mark(4, 0);
    let mut bench = Bench::tracked_at(0, kept.part());
    let short = Layout { start: 0, size: 4 };
    let error = bench.ledger.install(short.device(&memory), false, None).expect_err("refused");
    assert!(matches!(error, RingBroken::NotRecoverable(_)));
    assert_eq!(error.to_string(), "in-flight region: head 4 is beyond ring size 4");
}

#[test]
fn region_is_made_ready_if_it_never_was() {
    let file = memfd("region").expect("memfd");
    file.set_len(2 * STRIDE).expect("truncate");
    let kept = Kept(file);
    map(&kept.0, 2, SIZE).expect("a region");
    assert_eq!(kept.get(8), [1, 0, 8, 0]);
}

#[test]
fn region_that_does_not_fit_is_refused() {
    let kept = Kept::new();
    let refusal = |num_queues, queue_size| map(&kept.0, num_queues, queue_size).unwrap_err();
    assert_eq!(refusal(0, SIZE), "it is for 0 queues of 8 descriptors");
    assert_eq!(refusal(2, 0), "it is for 2 queues of 0 descriptors");
    assert_eq!(refusal(3, SIZE), "it has 0x180 bytes and needs 0x240");
    assert_eq!(refusal(2, 4), "queue 0 has features 0x0, version 1 and 8 descriptors in it");
    let contents = |features, version| {
        format!("queue 1 has features {features:#x}, version {version} and 8 descriptors in it")
    };
    kept.set(8, &[2, 0]);
    assert_eq!(refusal(2, SIZE), contents(0, 2));
    kept.set(8, &[1, 0]);
    kept.set(0, &[4]);
    assert_eq!(refusal(2, SIZE), contents(4, 1));
}

#[test]
fn region_for_more_queues_than_there_are_is_used_for_those_there_are() {
    let kept = Kept::new();
    kept.0.set_len(100 * STRIDE).expect_err("it is sealed");
    let file = memfd("region").expect("memfd");
    file.set_len(100 * STRIDE).expect("truncate");
    let region = Arc::new(map(&file, 100, SIZE).expect("a region"));
    let parts = [0, 1, 2].map(|queue| Inflight::new(&region, queue).is_some());
    assert_eq!(parts, [true, true, false]);
    let mut third = [0xff; 16];
    file.read_exact_at(&mut third, 2 * STRIDE).expect("bytes");
    assert_eq!(third, [0; 16], "it is not ours");
}

#[test]
fn refused_region_stays_as_it_was_and_is_not_tried_again() {
    let (kept, memory) = (Kept::new(), guest());
    Driver::new(&memory, LAYOUT).set_used_idx(2);
    kept.last_batch(1, 0);
    kept.mark(1, 0);
    kept.next(1, SIZE);
    let mut bench = Bench::tracked_at(0, kept.part());
    bench.ledger.install(LAYOUT.device(&memory), false, None).expect_err("refused");
    assert_eq!((kept.marked(), kept.used_idx()), (vec![1], 0));
    kept.next(1, 0);
    bench.ledger.install(LAYOUT.device(&memory), false, None).expect("nothing is tried");
    assert!(bench.ledger.is_paused());
}

#[test]
fn region_at_an_odd_place_of_its_file_is_refused_or_mapped_there() {
    let file = memfd("region").expect("memfd");
    file.set_len(0x3000).expect("truncate");
    let at = |offset| {
        let file = file.try_clone().expect("a descriptor");
        InflightRegion::map(file, (offset, 2 * STRIDE), SHAPE, 2).map_err(|error| causes(&error))
    };
    assert_eq!(at(4).unwrap_err(), "its bytes for queue 0 are not aligned");
    at(0x1008).expect("a region");
    let mut version = [0; 2];
    file.read_exact_at(&mut version, 0x1008 + 8).expect("bytes");
    assert_eq!(version, [1, 0]);
    let end = "map it: its file has 0x3000 bytes";
    assert_eq!(at(0x3000 - STRIDE).unwrap_err(), end);
}

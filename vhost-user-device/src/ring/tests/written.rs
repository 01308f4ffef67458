// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The dirty log: which pages it has after which requests.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use super::bench::{Bench, memory};
use super::driver::{Driver, Layout, buffer, region};
use crate::memory::{DirtyLog, MemoryMap};
use crate::ring::WriteLog;
use crate::ring::shared::WRITE;
use crate::sys::{self, Eventfd, Notifier};

/// The used ring has three pages and begins at the last but four bytes of a page: its flags and
/// index are on one page, its elements on the next two, its event index on another one.
const LAYOUT: Layout = Layout { start: 0, size: 1024 };

/// Pages from here on are not the ring's.
const DATA: u64 = 0x1_0000;

/// The log of the first 512 pages.
struct Log {
    file: File,
    log: Arc<DirtyLog>,
}

impl Log {
    fn new() -> Self {
        Self::of(64)
    }

    /// A log of so many bytes.
    fn of(len: u64) -> Self {
        let file = sys::memfd("log").expect("memfd");
        file.set_len(4096).expect("truncate");
        let shared = file.try_clone().expect("a descriptor");
        Self { file, log: Arc::new(DirtyLog::map(shared, 0, len).expect("a log")) }
    }

    /// The pages in the log, which are forgotten then.
    fn take(&self) -> Vec<usize> {
        let mut bytes = [0; 4096];
        self.file.read_exact_at(&mut bytes, 0).expect("the log");
        self.file.write_all_at(&[0; 4096], 0).expect("cleared");
        (0..8 * bytes.len()).filter(|page| bytes[page / 8] & 1 << (page % 8) != 0).collect()
    }

    /// A ledger that logs, its used ring as if it were at `used_ring`.
    fn bench(&self, memory: &Arc<MemoryMap>, used_ring: Option<u64>) -> Bench {
        let mut bench = Bench::new(memory, LAYOUT);
        let log = WriteLog { log: Arc::clone(&self.log), used_ring, notifier: None };
        bench.ledger.install(LAYOUT.device(memory), true, Some(log)).expect("a ring");
        bench
    }
}

fn guest() -> Arc<MemoryMap> {
    // The second region begins where the first one ends.
    memory(&[region(0, 0x2_0000), region(0x2_0000, 0x1_0000)])
}

/// Has a chain of these buffers made available, taken and completed.
fn serve(bench: &mut Bench, driver: &mut Driver<'_>, buffers: &[(u64, u32, u16)]) {
    let chain: Vec<_> =
        buffers.iter().map(|(address, len, flags)| buffer(*address, *len, *flags)).collect();
    driver.write_chain(0, &chain);
    driver.offer(0);
    driver.show();
    let request = bench.request();
    bench.complete(request, 0);
}

#[test]
fn mark_is_every_page_that_has_one_of_the_bytes() {
    let log = Log::new();
    for (start, len, pages) in [
        (0, 1, vec![0]),
        (0x1fff, 1, vec![1]),
        (0x1fff, 2, vec![1, 2]),
        (0x7000, 0x1000, vec![7]),
        (0x7fff, 0x3002, vec![7, 8, 9, 10, 11]),
        // Pages of four bytes of the log, two of them whole.
        (0x6000, 0x1_4000, (6..26).collect()),
        (511 * 4096, 4096, vec![511]),
        (0x5000, 0, vec![]),
    ] {
        log.log.mark(start, len);
        assert_eq!(log.take(), pages, "{len:#x} bytes from {start:#x}");
    }
}

#[test]
fn mark_beyond_the_log_is_left_out_and_told_once() {
    let log = Log::of(2);
    log.log.mark(14 * 4096, 2 * 4096);
    assert_eq!((log.take(), log.log.take_missed()), (vec![14, 15], None));
    log.log.mark(14 * 4096, 4 * 4096);
    assert_eq!((log.take(), log.log.take_missed()), (vec![14, 15], Some(17 * 4096)));
    assert_eq!(log.log.take_missed(), None);
    log.log.mark(u64::MAX - 4096, u64::MAX);
    assert_eq!((log.take(), log.log.take_missed()), (vec![], Some(!4095)));
}

#[test]
fn mark_is_added_to_those_that_are_there() {
    let log = Log::new();
    log.log.mark(0x3000, 1);
    log.log.mark(0x5000, 1);
    log.log.mark(0x3000, 1);
    assert_eq!(log.take(), [3, 5]);
}

#[test]
fn writable_buffers_of_a_request_are_logged_when_it_completes_and_readable_ones_are_not() {
    let (log, memory) = (Log::new(), guest());
    let mut driver = Driver::new(&memory, LAYOUT);
    let mut bench = log.bench(&memory, None);
    let chain =
        [buffer(DATA, 16, 0), buffer(DATA + 0x2ffe, 4, WRITE), buffer(DATA + 0x5000, 1, WRITE)];
    driver.write_chain(0, &chain);
    driver.offer(0);
    driver.show();
    let request = bench.request();
    assert_eq!(log.take(), [0; 0], "nothing is written yet");
    // However long the driver is told that it is: a failed request may have written to any of it.
    bench.complete(request, 0);
    assert_eq!(log.take(), [0x12, 0x13, 0x15]);
    assert!(bench.publish());
    assert_eq!(log.take(), [0; 0], "the used ring is not to be logged");
}

#[test]
fn request_that_wrote_only_a_part_is_logged_by_that() {
    let (log, memory) = (Log::new(), guest());
    let mut driver = Driver::new(&memory, LAYOUT);
    let mut bench = log.bench(&memory, None);
    let pieces = [(DATA, 16, 0), (DATA + 0x1800, 0x1000, WRITE), (DATA + 0x4000, 0x800, WRITE)];
    for (wrote, pages) in [
        (0..1, vec![0x11]),
        (0x7ff..0x800, vec![0x11]),
        (0x7ff..0x801, vec![0x11, 0x12]),
        (0xfff..0x1001, vec![0x12, 0x14]),
        (0x1000..0x1800, vec![0x14]),
        (0x17ff..0x1800, vec![0x14]),
        (0..usize::MAX, vec![0x11, 0x12, 0x14]),
        (0..0, vec![]),
        (0x1800..0x1801, vec![]),
    ] {
        let chain = pieces.map(|(address, len, flags)| buffer(address, len, flags));
        driver.write_chain(0, &chain);
        driver.offer(0);
        driver.show();
        let mut request = bench.request();
        request.wrote_only(wrote.clone());
        bench.complete(request, 0);
        assert_eq!(log.take(), pages, "{wrote:x?}");
        bench.publish();
    }
    serve(&mut bench, &mut driver, &pieces);
    assert_eq!(log.take(), [0x11, 0x12, 0x14], "the request after it, all of which counts again");
}

#[test]
fn buffer_over_the_border_of_two_regions_is_logged_on_both_sides() {
    let (log, memory) = (Log::new(), guest());
    let mut driver = Driver::new(&memory, LAYOUT);
    let mut bench = log.bench(&memory, None);
    serve(&mut bench, &mut driver, &[(0x1_ff00, 0x1200, WRITE)]);
    assert_eq!(log.take(), [0x1f, 0x20, 0x21]);
}

#[test]
fn used_ring_is_logged_by_its_ends_and_by_the_elements_that_were_written() {
    let (log, memory) = (Log::new(), guest());
    let mut driver = Driver::new(&memory, LAYOUT);
    // Flags and index at the end of page 0x40, the elements 0 to 511 on page 0x41, the others on
    // page 0x42, and the event index on page 0x43.
    let mut bench = log.bench(&memory, Some(0x4_0ffc));
    serve(&mut bench, &mut driver, &[(DATA, 16, 0)]);
    assert_eq!(log.take(), [0; 0], "nothing is published yet");
    bench.publish();
    assert_eq!(log.take(), [0x40, 0x41, 0x43]);
    (1..511).for_each(|_| serve(&mut bench, &mut driver, &[(DATA, 16, 0)]));
    bench.publish();
    assert_eq!(log.take(), [0x40, 0x41, 0x43]);
    serve(&mut bench, &mut driver, &[(DATA, 16, 0)]);
    bench.publish();
    assert_eq!(log.take(), [0x40, 0x41, 0x43], "the element 511");
    serve(&mut bench, &mut driver, &[(DATA, 16, 0)]);
    bench.publish();
    assert_eq!(log.take(), [0x40, 0x42, 0x43], "the element 512");
    // Over the end of the ring.
    (513..1030).for_each(|_| serve(&mut bench, &mut driver, &[(DATA, 16, 0)]));
    bench.publish();
    assert_eq!(log.take(), [0x40, 0x41, 0x42, 0x43]);
    assert!(!bench.publish());
    assert_eq!(log.take(), [0; 0], "nothing new was used");
}

#[test]
fn used_ring_is_logged_when_kicks_are_asked_for_and_when_they_are_not() {
    let (log, memory) = (Log::new(), guest());
    let mut bench = log.bench(&memory, Some(0x4_0ffc));
    bench.ledger.disable_kicks();
    assert_eq!(log.take(), [0x40, 0x43]);
    assert!(!bench.ledger.enable_kicks());
    assert_eq!(log.take(), [0x40, 0x43]);
}

#[test]
fn bad_chain_is_logged_in_the_used_ring_alone() {
    let (log, memory) = (Log::new(), guest());
    let mut driver = Driver::new(&memory, LAYOUT);
    let mut bench = log.bench(&memory, Some(0x4_0ffc));
    driver.write_chain(0, &[buffer(DATA, 16, WRITE), buffer(0xffff_0000, 16, WRITE)]);
    driver.offer(0);
    driver.show();
    assert!(matches!(bench.pop(), Ok(Some(crate::ring::Popped::Bad { head: 0, .. }))));
    bench.publish();
    assert_eq!(log.take(), [0x40, 0x41, 0x43]);
}

#[test]
fn log_taken_away_has_no_page_more() {
    let (log, memory) = (Log::new(), guest());
    let mut driver = Driver::new(&memory, LAYOUT);
    let mut bench = log.bench(&memory, Some(0x4_0ffc));
    bench.install(LAYOUT.device(&memory), true);
    serve(&mut bench, &mut driver, &[(DATA, 16, WRITE)]);
    bench.publish();
    bench.ledger.disable_kicks();
    assert!(!bench.ledger.enable_kicks());
    assert_eq!(log.take(), [0; 0]);
}

#[test]
fn log_descriptor_is_signalled_when_something_is_published() {
    let (log, memory) = (Log::new(), guest());
    let mut driver = Driver::new(&memory, LAYOUT);
    let mut bench = Bench::new(&memory, LAYOUT);
    let logged = Eventfd::new().expect("an eventfd");
    let shared = logged.as_fd().try_clone_to_owned().expect("a descriptor");
    let notifier = Notifier::new(shared).expect("an eventfd");
    let log =
        WriteLog { log: Arc::clone(&log.log), used_ring: None, notifier: Some(Arc::new(notifier)) };
    bench.ledger.install(LAYOUT.device(&memory), true, Some(log)).expect("a ring");
    bench.publish();
    assert!(!is_signalled(&logged));
    serve(&mut bench, &mut driver, &[(DATA, 16, WRITE)]);
    bench.publish();
    assert!(is_signalled(&logged));
}

fn is_signalled(eventfd: &Eventfd) -> bool {
    let waited = sys::wait_readable([Some(eventfd.as_fd())], Some(Duration::ZERO));
    waited.expect("poll") == [sys::Wait::Readable]
}

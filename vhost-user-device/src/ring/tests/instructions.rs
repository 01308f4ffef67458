// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a request costs in the ring and in the ledger. The test serves as many rounds as the
//! environment says; `cargo xtask bench log` has the instructions counted that [`serve`] takes for
//! two numbers of rounds, and divides the difference.

use std::env;
use std::sync::Arc;

use super::bench::{Bench, memory};
use super::driver::{Driver, Layout, buffer, region};
use crate::memory::DirtyLog;
use crate::ring::WriteLog;
use crate::ring::shared::WRITE;

/// Requests of a round: header, a page to be read into, status.
const BATCH: u16 = 32;
const LAYOUT: Layout = Layout { start: 0, size: 128 };

/// The pages that requests read into begin here.
const DATA: u64 = 0x1_0000;
const HEADER: u32 = 16;
const PAGE: u32 = 4096;

/// One round of a queue's owner: all that is available is taken, completed and published.
#[inline(never)]
fn serve(bench: &mut Bench) -> bool {
    bench.ledger.disable_kicks();
    while let Ok(Some(crate::ring::Popped::Request(request))) = bench.pop() {
        let mut header = [0; HEADER as usize];
        request.readable().read(0, &mut header).expect("a header");
        request.writable().write(PAGE as usize, &[header[0]]).expect("a status");
        bench.complete(request, PAGE + 1);
    }
    let wants_call = bench.publish();
    assert!(!bench.ledger.enable_kicks(), "all was taken");
    wants_call
}

/// A log for all of the memory, with the used ring in it.
fn logged(bench: &mut Bench, device: crate::ring::GuestRing) {
    let file = crate::sys::memfd("log").expect("memfd");
    file.set_len(4096).expect("truncate");
    let log = Arc::new(DirtyLog::map(file, 0, 4096).expect("a log"));
    let log = WriteLog { log, used_ring: Some(LAYOUT.used()), notifier: None };
    bench.ledger.install(Some(device), true, Some(log)).expect("a ring");
}

#[test]
fn rounds_of_a_batch_each_are_served_as_many_as_are_asked_for() {
    let rounds =
        env::var("VHOST_USER_BENCH_ROUNDS").map_or(2, |text| text.parse().expect("a number"));
    let memory = memory(&[region(0, DATA + u64::from(BATCH) * u64::from(PAGE))]);
    let mut driver = Driver::new(&memory, LAYOUT);
    for (head, data) in (0..BATCH).zip((DATA..).step_by(PAGE as usize)) {
        let (header, status) = (0x8000 + 32 * u64::from(head), 0x8000 + 32 * u64::from(head) + 16);
        let chain =
            [buffer(header, HEADER, 0), buffer(data, PAGE, WRITE), buffer(status, 1, WRITE)];
        driver.write_chain(3 * head, &chain);
    }
    let mut bench = Bench::new(&memory, LAYOUT);
    if env::var_os("VHOST_USER_BENCH_LOG").is_some() {
        logged(&mut bench, LAYOUT.device(&memory).expect("a ring"));
    }
    for _ in 0..rounds {
        (0..BATCH).for_each(|head| driver.offer(3 * head));
        driver.show();
        driver.enable_calls(true);
        assert!(serve(&mut bench), "the driver wants a call");
        assert_eq!(driver.take_all_used().len(), usize::from(BATCH));
    }
}

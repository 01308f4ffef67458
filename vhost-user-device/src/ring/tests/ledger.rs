// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Requests and their ends.

use std::sync::Arc;

use super::bench::{Bench, memory};
use super::driver::{Driver, Layout, buffer, region};
use super::sys::allocations;
use crate::memory::MemoryMap;
use crate::ring::shared::WRITE;
use crate::ring::{Popped, RingBroken};

const SIZE: u16 = 4;
const LAYOUT: Layout = Layout { start: 0, size: SIZE };

fn one_region() -> Arc<MemoryMap> {
    memory(&[region(0, 0x4000)])
}

/// The driver of a new ring, each of whose descriptors is a chain of 16 writable bytes.
fn driver(memory: &MemoryMap, layout: Layout) -> Driver<'_> {
    let driver = Driver::new(memory, layout);
    for index in 0..layout.size {
        driver.write_descriptor(index, buffer(0x1000 + 16 * u64::from(index), 16, WRITE));
    }
    driver
}

/// A ring on which the driver has shown these heads.
fn with_heads<R>(heads: &[u16], test: impl FnOnce(&mut Bench, &mut Driver<'_>) -> R) -> R {
    let memory = one_region();
    let mut driver = driver(&memory, LAYOUT);
    show(&mut driver, heads);
    test(&mut Bench::new(&memory, LAYOUT), &mut driver)
}

fn show(driver: &mut Driver<'_>, heads: &[u16]) {
    heads.iter().for_each(|head| driver.offer(*head));
    driver.show();
}

#[test]
fn completed_requests_are_used_in_that_order_when_published() {
    with_heads(&[2, 0, 3], |bench, driver| {
        let [a, b, c] = [(); 3].map(|()| bench.request());
        assert_eq!((bench.ledger.in_flight(), bench.ledger.next_avail()), (3, 3));
        bench.complete(c, 16);
        bench.complete(a, 0);
        assert_eq!(driver.take_used(), None);
        bench.publish();
        assert_eq!(driver.take_all_used(), [(3, 16), (2, 0)]);
        bench.complete(b, 1);
        bench.publish();
        assert_eq!(driver.take_all_used(), [(0, 1)]);
        assert_eq!(bench.ledger.in_flight(), 0);
    });
}

#[test]
fn publishing_nothing_new_wants_no_call() {
    with_heads(&[1], |bench, _| {
        assert!(!bench.publish());
        let request = bench.request();
        bench.complete(request, 0);
        assert!(bench.publish());
        assert!(!bench.publish());
    });
}

#[test]
fn indices_wrap_around() {
    with_heads(&[], |bench, driver| {
        for round in 0..=u32::from(u16::MAX) + 3 {
            let head = u16::try_from(round % 3).unwrap();
            show(driver, &[head]);
            let request = bench.request();
            bench.complete(request, round);
            bench.publish();
            assert_eq!(driver.take_used(), Some((head.into(), round)));
        }
        assert_eq!(bench.ledger.next_avail(), 3);
    });
}

#[test]
fn start_is_at_the_index_that_was_said_and_the_used_index_that_is_there() {
    let memory = one_region();
    let mut driver = driver(&memory, LAYOUT);
    driver.set_used_idx(7);
    (0..9).for_each(|_| driver.offer(1));
    driver.offer(3);
    driver.show();
    let mut bench = Bench::paused_at(9);
    assert_eq!(bench.ledger.next_avail(), 9);
    bench.install(LAYOUT.device(&memory), false);
    let request = bench.request();
    assert!(matches!(bench.pop(), Ok(None)));
    bench.complete(request, 5);
    bench.publish();
    assert_eq!((driver.used_idx(), driver.take_used()), (8, Some((3, 5))));
}

#[test]
fn handed_back_request_is_taken_again() {
    with_heads(&[3, 1], |bench, driver| {
        let [first, newest] = [(); 2].map(|()| bench.request());
        bench.ledger.hand_back(newest).expect("the newest");
        assert_eq!((bench.ledger.in_flight(), bench.ledger.next_avail()), (1, 1));
        bench.ledger.hand_back(first).expect("now the newest");
        assert_eq!((bench.ledger.in_flight(), bench.ledger.next_avail()), (0, 0));
        assert!(!bench.publish(), "nothing was used");
        let [first, second] = [(); 2].map(|()| bench.request());
        bench.complete(first, 1);
        bench.complete(second, 2);
        bench.publish();
        assert_eq!(driver.take_all_used(), [(3, 1), (1, 2)]);
    });
}

#[test]
fn only_the_newest_request_can_be_handed_back() {
    with_heads(&[3, 1], |bench, _| {
        let [older, newest] = [(); 2].map(|()| bench.request());
        let older = bench.ledger.hand_back(older).expect_err("not the newest");
        assert_eq!((bench.ledger.in_flight(), bench.ledger.next_avail()), (2, 2));
        bench.complete(newest, 0);
        let older = bench.ledger.hand_back(older).expect_err("not the newest still");
        bench.complete(older, 0);
    });
}

#[test]
fn request_of_another_queue_cannot_be_handed_back() {
    with_heads(&[0], |other, _| {
        with_heads(&[0], |bench, _| {
            let [own, foreign] = [bench.request(), other.request()];
            let foreign = bench.ledger.hand_back(foreign).expect_err("not its own");
            assert_eq!(bench.ledger.next_avail(), 1);
            bench.complete(own, 0);
            other.complete(foreign, 0);
        });
    });
}

#[test]
fn handed_back_while_paused_is_taken_when_the_ring_is_back() {
    let memory = one_region();
    let mut driver = driver(&memory, LAYOUT);
    show(&mut driver, &[2]);
    let mut bench = Bench::new(&memory, LAYOUT);
    let request = bench.request();
    bench.install(None, true);
    bench.ledger.hand_back(request).expect("the newest");
    assert_eq!((bench.ledger.in_flight(), bench.ledger.next_avail()), (0, 0));
    bench.install(LAYOUT.device(&memory), true);
    let request = bench.request();
    bench.complete(request, 4);
    bench.publish();
    assert_eq!(driver.take_all_used(), [(2, 4)]);
}

#[test]
#[cfg_attr(miri, ignore = "Miri polls no descriptors")]
fn request_sent_home_is_completed_there() {
    with_heads(&[2], |bench, driver| {
        let request = bench.request();
        std::thread::spawn(move || request.send_home(7)).join().expect("sent");
        assert_eq!((bench.ledger.in_flight(), driver.take_used()), (1, None));
        let (request, written) = bench.came_home().expect("a request");
        bench.complete(request, written);
        bench.publish();
        assert_eq!(driver.take_all_used(), [(2, 7)]);
    });
}

#[test]
#[cfg_attr(miri, ignore = "Miri polls no descriptors")]
fn request_completed_on_another_queue_goes_home() {
    with_heads(&[2], |bench, _| {
        let request = bench.request();
        with_heads(&[], |other, others_driver| {
            other.complete(request, 9);
            assert!(!other.publish());
            assert_eq!(others_driver.take_used(), None);
            assert!(other.came_home().is_none());
        });
        let (request, written) = bench.came_home().expect("a request");
        assert_eq!((bench.ledger.in_flight(), written), (1, 9));
        bench.complete(request, written);
    });
}

#[test]
fn paused_ring_keeps_completions_until_it_is_back() {
    let memory = one_region();
    let mut driver = driver(&memory, LAYOUT);
    show(&mut driver, &[0, 1, 2]);
    let mut bench = Bench::new(&memory, LAYOUT);
    let [a, b] = [(); 2].map(|()| bench.request());
    bench.complete(a, 10);
    bench.install(None, true);
    assert!(bench.ledger.is_paused() && bench.ledger.ring().is_none());
    assert!(matches!(bench.pop(), Ok(None)), "a paused ring takes nothing");
    bench.complete(b, 11);
    assert_eq!((bench.ledger.in_flight(), bench.ledger.next_avail()), (0, 2));

    bench.install(LAYOUT.device(&memory), true);
    assert_eq!(driver.take_used(), None);
    assert!(bench.publish());
    assert_eq!(driver.take_all_used(), [(0, 10), (1, 11)]);
    let c = bench.request();
    bench.complete(c, 12);
    bench.publish();
    assert_eq!(driver.take_all_used(), [(2, 12)]);
}

#[test]
fn ring_that_comes_back_in_other_memory_goes_on_where_it_was() {
    let (old, new) = (one_region(), one_region());
    let mut before = driver(&old, LAYOUT);
    show(&mut before, &[3]);
    let mut bench = Bench::new(&old, LAYOUT);
    let request = bench.request();
    // What a driver's memory looks like when it was copied meanwhile.
    let mut after = driver(&new, LAYOUT);
    show(&mut after, &[3, 1]);
    bench.install(LAYOUT.device(&new), true);
    let next = bench.request();
    bench.complete(request, 1);
    bench.complete(next, 2);
    bench.publish();
    assert_eq!(before.take_used(), None);
    assert_eq!(after.take_all_used(), [(3, 1), (1, 2)]);
}

#[test]
fn head_that_is_in_flight_already_breaks_the_ring() {
    with_heads(&[1, 2], |bench, driver| {
        let requests: Vec<_> = (0..2).map(|_| bench.request()).collect();
        show(driver, &[1]);
        let error = bench.pop().err().expect("broken");
        assert_eq!(error, RingBroken::InFlight { head: 1 });
        assert_eq!(error.to_string(), "head 1 is in flight already");
        assert_eq!(bench.ledger.next_avail(), 2, "it was not taken");
        assert_eq!(bench.ledger.in_flight(), 2);
        requests.into_iter().for_each(|request| bench.complete(request, 0));
        bench.publish();
        assert_eq!(driver.take_all_used(), [(1, 0), (2, 0)]);
    });
}

#[test]
fn used_requests_are_used_again_without_allocation() {
    with_heads(&[], |bench, driver| {
        let mut round = |heads: &[u16; 3]| {
            show(driver, heads);
            let before = allocations();
            for request in [(); 3].map(|()| bench.request()) {
                bench.complete(request, 1);
            }
            bench.publish();
            let allocated = allocations() - before;
            driver.take_all_used();
            allocated
        };
        assert!(round(&[0, 1, 2]) > 0, "the first round makes requests, or nothing is counted");
        for _ in 0..1000 {
            assert_eq!(round(&[1, 3, 2]), 0);
        }
    });
}

#[test]
fn bad_chains_are_refused_without_allocation() {
    with_heads(&[], |bench, driver| {
        driver.write_descriptor(0, buffer(0x1000, 0, WRITE));
        let mut round = || {
            show(driver, &[0]);
            let before = allocations();
            assert!(matches!(bench.pop(), Ok(Some(Popped::Bad { .. }))));
            bench.publish();
            allocations() - before
        };
        round();
        (0..1000).for_each(|_| assert_eq!(round(), 0));
    });
}

#[test]
fn old_memory_goes_with_its_last_request() {
    let (old, new) = (one_region(), one_region());
    show(&mut driver(&old, LAYOUT), &[0, 1, 2]);
    show(&mut driver(&new, LAYOUT), &[0, 1, 2]);
    let mut bench = Bench::new(&old, LAYOUT);
    let still_there = Arc::downgrade(&old);
    drop(old);

    let [a, b, c] = [(); 3].map(|()| bench.request());
    bench.complete(a, 0);
    bench.install(LAYOUT.device(&new), true);
    bench.complete(b, 0);
    assert!(still_there.upgrade().is_some(), "a request lies in it");
    bench.complete(c, 0);
    assert!(still_there.upgrade().is_none());
}

#[test]
fn paused_ring_holds_no_memory() {
    let memory = one_region();
    show(&mut driver(&memory, LAYOUT), &[0, 1]);
    let mut bench = Bench::new(&memory, LAYOUT);
    let still_there = Arc::downgrade(&memory);
    drop(memory);
    let [a, b] = [(); 2].map(|()| bench.request());
    bench.complete(a, 0);
    bench.install(None, true);
    assert!(still_there.upgrade().is_some(), "a request lies in it");
    bench.complete(b, 0);
    assert!(still_there.upgrade().is_none());
}

#[cfg(debug_assertions)]
#[test]
#[cfg_attr(miri, ignore = "Miri starts no processes")]
fn dropped_request_aborts_a_debug_build() {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    const CHILD: &str = "VHOST_USER_TEST_DROP_A_REQUEST";
    if std::env::var_os(CHILD).is_some() {
        with_heads(&[2], |bench, _| drop(bench.request()));
        return;
    }
    let (_, this) = concat!(module_path!(), "::dropped_request_aborts_a_debug_build")
        .split_once("::")
        .expect("the crate and the path in it");
    let mut child = Command::new(std::env::current_exe().expect("this program"));
    child.args(["--exact", this]).env(CHILD, "1");
    let output = child.output().expect("run the child");
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
}

#[cfg(not(debug_assertions))]
#[test]
#[cfg_attr(miri, ignore = "Miri polls no descriptors")]
fn dropped_request_is_answered_with_an_error_in_a_release_build() {
    with_heads(&[2], |bench, _| {
        drop(bench.request());
        let (request, written) = bench.came_home().expect("the request");
        assert_eq!(written, super::bench::FAILED);
        bench.complete(request, written);
        assert_eq!(bench.ledger.in_flight(), 0);
    });
}

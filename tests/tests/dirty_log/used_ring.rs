// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The used ring is logged where the front end says that it is, and only if it says so.

use std::collections::BTreeSet;

use vhost_user_tests::driver::Rings;
use vhost_user_tests::memory::BASE;
use vhost_user_tests::prelude::*;

use crate::{FAR, Guest, MIB, pages};

/// A guest whose queue has its used ring, of 16 elements and 134 bytes, at `used`, on pages that
/// nothing else is on.
fn with_used_ring_at(used: u64) -> Guest {
    let mut it = Guest::new();
    it.frontend.get_vring_base(0);
    let memory = it.memory.clone();
    let parts = [memory.buffer(256), memory.buffer(38), memory.buffer_at(used, 134)];
    let queue = Queue::in_parts(&memory, 16, true, parts);
    it.frontend.start(0, &queue);
    it.disk = BlkQueue::new(queue);
    it
}

/// Says that the used ring is to be logged at `log`.
#[track_caller]
fn log_used_ring(it: &Guest, log: u64) {
    let rings = it.disk.queue.rings();
    it.frontend.set_vring_addr_logged(0, rings, &it.memory, log).expect("an ack");
}

/// What is logged by one read to [`FAR`] and the end of the queue, without the read's own page.
#[track_caller]
fn logged_by_a_read(it: &mut Guest, log: &vhost_user_tests::dirty_log::DirtyLog) -> BTreeSet<u64> {
    log.clear();
    it.read_to(FAR, 1);
    it.frontend.get_vring_base(0);
    let mut logged = log.pages();
    assert!(logged.remove(&(FAR / 4096)), "the read's own page");
    logged
}

#[test]
fn used_ring_is_logged_where_it_is() {
    let used = BASE + MIB / 2;
    let mut it = with_used_ring_at(used);
    let log = it.logging();
    log_used_ring(&it, used);
    assert_eq!(logged_by_a_read(&mut it, &log), pages(used, 134));
}

#[test]
fn used_ring_is_logged_where_the_front_end_says_wherever_it_is() {
    let used = BASE + MIB / 2;
    for other in [0, 0x7000, FAR + MIB - 4096] {
        let mut it = with_used_ring_at(used);
        let log = it.logging();
        log_used_ring(&it, other);
        assert_eq!(logged_by_a_read(&mut it, &log), pages(other, 134));
    }
}

#[test]
fn used_ring_over_a_page_border_is_logged_on_both_sides() {
    // The first element, or the event index alone, is on the second page.
    for before_the_border in [4, 132] {
        let used = BASE + MIB / 2 - before_the_border;
        let mut it = with_used_ring_at(used);
        let log = it.logging();
        log_used_ring(&it, used);
        assert_eq!(logged_by_a_read(&mut it, &log), pages(used, 134));
    }
}

#[test]
fn used_ring_logged_elsewhere_over_a_page_border_is_logged_on_both_sides() {
    let mut it = with_used_ring_at(BASE + MIB / 2);
    let log = it.logging();
    log_used_ring(&it, 0x7ffc);
    assert_eq!(logged_by_a_read(&mut it, &log), pages(0x7ffc, 134));
}

#[test]
fn used_ring_without_the_flag_is_not_logged() {
    let mut it = with_used_ring_at(BASE + MIB / 2);
    let log = it.logging();
    assert_eq!(logged_by_a_read(&mut it, &log), BTreeSet::new());
}

#[test]
fn used_ring_without_the_flag_is_not_logged_though_an_address_is_said() {
    let mut it = with_used_ring_at(BASE + MIB / 2);
    let log = it.logging();
    let Rings { descriptors, available, used } = it.disk.queue.rings();
    let places = [descriptors, used, available].map(|guest| it.memory.user_address(guest));
    it.frontend.tell(Message::vring_addr_logged(0, places, 0, used)).unwrap();
    assert_eq!(logged_by_a_read(&mut it, &log), BTreeSet::new());
}

#[test]
fn used_ring_is_logged_as_soon_as_the_flag_is_said_and_until_it_is_taken_back() {
    let used = BASE + MIB / 2;
    let mut it = with_used_ring_at(used);
    let log = it.logging();
    log_used_ring(&it, used);
    it.read_to(FAR, 1);
    it.frontend.set_vring_addr(0, it.disk.queue.rings(), &it.memory).unwrap();
    assert!(log.has(used));
    assert_eq!(logged_by_a_read(&mut it, &log), BTreeSet::new());
}

#[test]
fn used_ring_of_each_queue_is_logged_for_itself() {
    let used = BASE + MIB / 2;
    let mut it = with_used_ring_at(used);
    let memory = it.memory.clone();
    let parts = [memory.buffer(256), memory.buffer(38), memory.buffer_at(used + 0x4000, 134)];
    let other = Queue::in_parts(&memory, 16, true, parts);
    it.frontend.start(1, &other);
    let log = it.logging();
    log_used_ring(&it, used);
    // The first round of the other queue, which begins by itself, is over.
    it.frontend.get_vring_base(1);
    assert_eq!(logged_by_a_read(&mut it, &log), pages(used, 134));
}

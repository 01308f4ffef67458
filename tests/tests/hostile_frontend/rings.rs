// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Messages about rings that cannot be: indices, sizes, addresses.

use vhost_user_tests::driver::Rings;
use vhost_user_tests::eventfd::EventFd;
use vhost_user_tests::memory::BASE;
use vhost_user_tests::prelude::*;

use crate::Target;

/// A daemon has 64 queues unless it is told otherwise.
const QUEUES: u32 = 64;

#[test]
fn index_of_no_queue_is_refused() {
    let it = Target::new();
    for index in [QUEUES, 255, 256, 0x1_0000, u32::MAX] {
        it.expect_refused(&Message::vring(FrontendReq::SET_VRING_NUM, index, 16));
        it.expect_refused(&Message::vring(FrontendReq::SET_VRING_BASE, index, 0));
        it.expect_refused(&Message::vring(FrontendReq::SET_VRING_ENABLE, index, 1));
        it.expect_refused(&Message::vring_addr(index, 0x1000, 0x2000, 0x3000));
    }
}

#[test]
fn index_of_no_queue_with_a_descriptor_is_refused() {
    let it = Target::new();
    let event = EventFd::new();
    for index in [64, 255] {
        for request in
            [FrontendReq::SET_VRING_KICK, FrontendReq::SET_VRING_CALL, FrontendReq::SET_VRING_ERR]
        {
            it.expect_refused(&Message::vring_descriptor(request, index, Some(&event)));
        }
    }
}

#[test]
fn base_of_no_queue_cannot_be_asked_for() {
    let it = Target::new();
    for index in [QUEUES, 256, u32::MAX] {
        let frontend = it.session();
        frontend.send(&Message::vring(FrontendReq::GET_VRING_BASE, index, 0));
        frontend.expect_dropped();
        it.expect_alive();
    }
}

#[test]
fn size_that_no_ring_has_is_refused() {
    let it = Target::new();
    for size in [0, 3, 15, 17, 1023, 2048, 0x8000, 0x1_0000, 0x1_0010, u32::MAX] {
        it.expect_refused(&Message::vring(FrontendReq::SET_VRING_NUM, 0, size));
    }
}

#[test]
fn base_that_is_no_index_is_refused() {
    let it = Target::new();
    for base in [0x1_0000, u32::MAX] {
        it.expect_refused(&Message::vring(FrontendReq::SET_VRING_BASE, 0, base));
    }
}

#[test]
fn enabling_that_is_neither_on_nor_off_is_refused() {
    let it = Target::new();
    it.expect_refused(&Message::vring(FrontendReq::SET_VRING_ENABLE, 0, 2));
}

#[test]
fn address_that_is_not_aligned_is_refused() {
    let it = Target::new();
    // 16 bytes for descriptors, 4 for the used ring, 2 for the available ring.
    for [descriptors, used, available] in
        [[0x1008, 0x2000, 0x3000], [0x1000, 0x2002, 0x3000], [0x1000, 0x2000, 0x3001]]
    {
        it.expect_refused(&Message::vring_addr(0, descriptors, used, available));
    }
}

/// A queue whose rings are at these user addresses is not served; all else is.
#[track_caller]
fn expect_unserved(place: impl Fn(Rings, &dyn Fn(u64) -> u64) -> [u64; 3]) {
    let it = Target::new();
    let mut frontend = it.session();
    let memory = frontend.memory();
    let mut good = frontend.blk(1, 16);
    let mut bad = BlkQueue::new(frontend.stopped_queue(16));
    frontend.prepare(0, &bad.queue);
    let user = |guest| memory.user_address(guest);
    let [descriptors, used, available] = place(bad.queue.rings(), &user);
    let _ = frontend.tell(Message::vring_addr(0, descriptors, used, available));
    let _ = frontend.set_vring_kick(0, bad.queue.kick_fd());
    let _ = frontend.set_vring_enable(0, true);
    bad.submit(&Request::read(1, 1));
    bad.queue.kick();
    assert_eq!(good.read(2, 1), Ok(it.image.sector(2)));
    frontend.let_queues_look();
    assert_eq!(frontend.get_vring_base(0), 0, "nothing was taken from the ring");
    drop((frontend, good, bad));
    it.expect_alive();
}

#[test]
fn ring_outside_memory_is_not_served() {
    expect_unserved(|rings, user| [0x1000, user(rings.used), user(rings.available)]);
    expect_unserved(|rings, user| [user(rings.descriptors), 0x1000, user(rings.available)]);
    expect_unserved(|rings, user| [user(rings.descriptors), user(rings.used), 0x1000]);
}

#[test]
fn ring_at_guest_addresses_is_not_served() {
    expect_unserved(|rings, _| [rings.descriptors, rings.used, rings.available]);
}

#[test]
fn ring_at_the_end_of_the_address_space_is_not_served() {
    let end = !0xf;
    expect_unserved(|rings, user| [end, user(rings.used), user(rings.available)]);
    expect_unserved(|rings, user| [user(rings.descriptors), end, user(rings.available)]);
    expect_unserved(|rings, user| [user(rings.descriptors), user(rings.used), end]);
}

#[test]
fn ring_that_reaches_beyond_its_region_is_not_served() {
    let last = BASE + (8 << 20) - 16;
    expect_unserved(|rings, user| [user(last), user(rings.used), user(rings.available)]);
    expect_unserved(|rings, user| [user(rings.descriptors), user(last), user(rings.available)]);
    expect_unserved(|rings, user| [user(rings.descriptors), user(rings.used), user(last)]);
}

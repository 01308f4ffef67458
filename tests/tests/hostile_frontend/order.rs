// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Messages in an order that makes no sense.

use vhost_user_tests::eventfd::EventFd;
use vhost_user_tests::prelude::*;

use crate::Target;

/// Says `first` and then all of what is usual, on one connection.
#[track_caller]
fn expect_served_after(first: impl Fn(&Frontend)) {
    let it = Target::new();
    let frontend = it.session();
    first(&frontend);
    it.expect_served_on(frontend);
}

#[test]
fn kick_of_a_queue_without_anything_else_harms_nobody() {
    let kick = EventFd::new();
    expect_served_after(|frontend| {
        let _ = frontend.set_vring_kick(0, &kick);
        let _ = frontend.set_vring_enable(0, true);
        kick.signal();
    });
}

#[test]
fn kick_of_a_queue_without_a_size_harms_nobody() {
    let it = Target::new();
    let mut frontend = it.session();
    let queue = frontend.stopped_queue(16);
    let _ = frontend.set_vring_addr(0, queue.rings(), queue.memory());
    let _ = frontend.set_vring_kick(0, queue.kick_fd());
    let _ = frontend.set_vring_enable(0, true);
    queue.kick();
    it.expect_served_on(frontend);
}

#[test]
fn kick_of_a_queue_without_memory_harms_nobody() {
    let it = Target::new();
    let frontend = it.session();
    let queue = Queue::new(&GuestMemory::new(1 << 20), 16, true);
    frontend.prepare(0, &queue);
    let _ = frontend.set_vring_kick(0, queue.kick_fd());
    let _ = frontend.set_vring_enable(0, true);
    queue.kick();
    it.expect_served_on(frontend);
}

#[test]
fn index_of_a_queue_that_never_started_can_be_asked_for() {
    expect_served_after(|frontend| {
        assert_eq!(frontend.get_vring_base(0), 0);
        assert_eq!(frontend.get_vring_base(63), 0);
    });
}

#[test]
fn index_of_a_queue_can_be_asked_for_twice() {
    let it = Target::new();
    let mut frontend = it.session();
    let mut disk = frontend.blk(0, 16);
    assert_eq!(disk.read(1, 1), Ok(it.image.sector(1)));
    assert_eq!(frontend.get_vring_base(0), 1);
    assert_eq!(frontend.get_vring_base(0), 1);
    it.expect_served_on(frontend);
}

#[test]
fn session_begun_twice_is_served() {
    expect_served_after(|frontend| {
        let _ = frontend.set_owner();
        let _ = frontend.set_owner();
    });
}

#[test]
fn session_reset_at_once_is_served() {
    expect_served_after(|frontend| {
        let _ = frontend.reset_owner();
    });
}

#[test]
fn messages_before_the_owner_and_the_features_are_answered_or_dropped() {
    let it = Target::new();
    let memory = GuestMemory::new(1 << 20);
    let frontend = it.stranger();
    let queue = Queue::new(&memory, 16, false);
    frontend.send(&Message::mem_table(&memory.table()).descriptor(&memory.regions()[0]));
    frontend.prepare(0, &queue);
    frontend.set_vring_kick(0, queue.kick_fd()).unwrap();
    drop(frontend);
    it.expect_alive();
}

#[test]
fn size_of_a_running_queue_changed_harms_nobody() {
    let it = Target::new();
    let mut frontend = it.session();
    let mut disk = frontend.blk(0, 16);
    assert_eq!(disk.read(1, 1), Ok(it.image.sector(1)));
    for size in [1024, 4, 16] {
        let _ = frontend.set_vring_num(0, size);
        disk.queue.kick();
    }
    it.expect_served_on(frontend);
}

#[test]
fn memory_taken_away_under_a_running_queue_harms_nobody() {
    let it = Target::new();
    let mut frontend = it.session();
    let mut disk = frontend.blk(0, 16);
    let memory = frontend.memory();
    frontend.rem_mem_reg(&memory.regions()[0].described()).unwrap();
    disk.submit(&Request::read(1, 1));
    disk.queue.kick();
    assert!(frontend.is_served());
    drop((frontend, disk));
    it.expect_alive();
}

#[test]
fn queues_left_running_by_a_connection_stop_with_it() {
    let it = Target::new();
    let mut frontend = it.session();
    let mut left: Vec<BlkQueue> = (0..8).map(|index| frontend.blk(index, 16)).collect();
    for disk in &mut left {
        assert_eq!(disk.read(1, 1), Ok(it.image.sector(1)));
    }
    drop(frontend);
    it.daemon.expect_descriptors(it.descriptors);
    for disk in &mut left {
        disk.submit(&Request::read(1, 1));
        disk.queue.kick();
    }
    it.expect_alive();
    assert!(left.iter_mut().all(|disk| disk.queue.used().is_none()), "a queue goes on");
}

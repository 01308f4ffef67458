// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Messages about a queue that is running.

use vhost_user_tests::deadline::Deadline;
use vhost_user_tests::driver::Rings;
use vhost_user_tests::eventfd::EventFd;
use vhost_user_tests::prelude::*;

#[test]
fn queue_is_scanned_at_its_start_without_a_kick() {
    let mut it = Served::blk();
    let mut disk = BlkQueue::new(it.frontend.stopped_queue(16));
    disk.add(&Request::read(5, 1));
    disk.queue.publish();
    it.frontend.start(1, &disk.queue);
    assert_eq!(disk.wait().1.bytes, it.image.sector(5));
}

#[test]
fn queue_is_called_once_at_its_start() {
    let mut it = Served::blk();
    let queue = it.frontend.stopped_queue(16);
    it.frontend.start(1, &queue);
    assert_eq!(queue.call_fd().wait(Deadline::new()), 1);
    // Once it has stopped, no call is on its way any more.
    it.frontend.get_vring_base(1);
    assert_eq!(queue.call_fd().take(), 0);
}

#[test]
fn kick_descriptor_replaced_is_listened_to() {
    let mut it = Served::blk();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    let old = it.disk.queue.replace_kick();
    it.frontend.set_vring_kick(0, it.disk.queue.kick_fd()).unwrap();
    for sector in 2..6 {
        assert_eq!(it.disk.read(sector, 1), Ok(it.image.sector(sector)));
    }
    drop(old);
}

#[test]
fn kick_descriptor_replaced_after_its_request_loses_nothing() {
    let mut it = Served::blk();
    for sector in 0..50 {
        // Made available without a kick; the new descriptor starts a look at the ring.
        it.disk.add(&Request::read(sector, 1));
        it.disk.queue.publish();
        let _old = it.disk.queue.replace_kick();
        it.frontend.set_vring_kick(0, it.disk.queue.kick_fd()).unwrap();
        assert_eq!(it.disk.wait().1.bytes, it.image.sector(sector));
    }
}

#[test]
fn call_descriptor_replaced_is_signalled() {
    let mut it = Served::blk();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    let old = it.disk.queue.replace_call();
    old.take();
    it.frontend.set_vring_call(0, it.disk.queue.call_fd()).unwrap();
    for sector in 2..6 {
        assert_eq!(it.disk.read(sector, 1), Ok(it.image.sector(sector)));
    }
    assert_eq!(old.take(), 0, "a call on the descriptor that was replaced");
}

#[test]
fn err_descriptor_replaced_is_signalled() {
    let mut it = Served::blk();
    let new = EventFd::new();
    it.frontend.set_vring_err(0, &new).unwrap();
    it.disk.queue.offer(999);
    assert!(new.wait(Deadline::new()) > 0);
    assert_eq!(it.disk.queue.err_fd().take(), 0, "a word on the descriptor that was replaced");
}

#[test]
fn descriptors_that_were_replaced_are_closed() {
    let mut it = Served::blk();
    let before = it.daemon.descriptors();
    for _ in 0..20 {
        let _old = (it.disk.queue.replace_kick(), it.disk.queue.replace_call());
        it.frontend.set_vring_kick(0, it.disk.queue.kick_fd()).unwrap();
        it.frontend.set_vring_call(0, it.disk.queue.call_fd()).unwrap();
        it.frontend.set_vring_err(0, it.disk.queue.err_fd()).unwrap();
    }
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    assert_eq!(it.daemon.descriptors(), before);
}

#[test]
fn queue_without_a_call_descriptor_is_served() {
    let mut it = Served::blk();
    it.frontend.set_vring_no_call(0).unwrap();
    it.disk.submit(&Request::read(4, 1));
    assert_eq!(it.disk.watch().1.bytes, it.image.sector(4));
}

#[test]
fn queue_without_a_kick_descriptor_is_polled() {
    let mut it = Served::blk();
    let mut disk = BlkQueue::new(it.frontend.stopped_queue(16));
    it.frontend.prepare(1, &disk.queue);
    it.frontend.set_vring_no_kick(1).unwrap();
    it.frontend.set_vring_enable(1, true).unwrap();
    for sector in 0..5 {
        assert_eq!(disk.read(sector, 1), Ok(it.image.sector(sector)));
    }
}

#[test]
fn queue_with_neither_kick_nor_call_is_polled() {
    let mut it = Served::blk();
    let mut disk = BlkQueue::new(it.frontend.stopped_queue(16));
    it.frontend.prepare(1, &disk.queue);
    it.frontend.set_vring_no_call(1).unwrap();
    it.frontend.set_vring_no_kick(1).unwrap();
    it.frontend.set_vring_enable(1, true).unwrap();
    for sector in 0..20 {
        disk.add(&Request::read(sector, 1));
        disk.queue.publish();
        assert_eq!(disk.watch().1.bytes, it.image.sector(sector));
    }
    assert_eq!(disk.queue.call_fd().take(), 0);
    assert_eq!(it.frontend.get_vring_base(1), 20);
}

#[test]
fn kick_descriptor_taken_away_from_a_running_queue_leaves_it_polled() {
    let mut it = Served::blk();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    it.frontend.set_vring_no_kick(0).unwrap();
    for sector in 0..5 {
        it.disk.add(&Request::read(sector, 1));
        it.disk.queue.publish();
        assert_eq!(it.disk.wait().1.bytes, it.image.sector(sector));
    }
}

#[test]
fn addresses_said_again_change_no_index() {
    // QEMU says them again when a migration starts and when it stops.
    let mut it = Served::blk();
    let memory = it.frontend.memory();
    for sector in 0..20 {
        it.frontend.set_vring_addr(0, it.disk.queue.rings(), &memory).unwrap();
        assert_eq!(it.disk.read(sector, 1), Ok(it.image.sector(sector)));
    }
    assert_eq!(it.disk.queue.used_index(), 20);
    assert_eq!(it.frontend.get_vring_base(0), 20);
}

#[test]
fn rings_moved_while_the_queue_runs_are_served_where_they_are() {
    let mut it = Served::blk();
    let memory = it.frontend.memory();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    let Rings { descriptors, available, used } = it.disk.queue.rings();
    // A copy of all three parts, elsewhere.
    let lengths = [(descriptors, 256), (available, 38), (used, 134)];
    let parts = lengths.map(|(_, len)| memory.buffer(len));
    let contents = lengths.map(|(from, len)| memory.read(from, len));
    let moved = Queue::in_parts(&memory, 16, true, parts).starting_at(1);
    for (to, bytes) in [moved.rings().descriptors, moved.rings().available, moved.rings().used]
        .into_iter()
        .zip(contents)
    {
        memory.write(to, &bytes);
    }
    it.frontend.set_vring_addr(0, moved.rings(), &memory).unwrap();
    it.frontend.set_vring_kick(0, moved.kick_fd()).unwrap();
    it.frontend.set_vring_call(0, moved.call_fd()).unwrap();
    let mut disk = BlkQueue::new(moved);
    assert_eq!(disk.read(2, 1), Ok(it.image.sector(2)));
    assert_eq!(it.frontend.get_vring_base(0), 2);
}

#[test]
fn session_reset_by_its_owner_disables_the_queues_and_loses_nothing() {
    // RESET_OWNER is deprecated; of its two meanings, QEMU's is to disable all rings.
    let mut it = Served::blk();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    it.frontend.reset_owner().unwrap();
    it.disk.submit(&Request::read(2, 1));
    it.disk.queue.kick();
    it.frontend.let_queues_look();
    assert_eq!(it.disk.queue.used(), None, "a request taken from a disabled queue");
    it.frontend.set_vring_enable(0, true).unwrap();
    assert_eq!(it.disk.wait().1.bytes, it.image.sector(2));
    assert_eq!(it.frontend.get_vring_base(0), 2);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A queue that stops, and starts again: with its region, in another connection, in another daemon,
//! and without any region.

use vhost_user_tests::prelude::*;

use super::Lives;
use super::checked_disk::CheckedDisk;

const SIZE: u16 = 128;
const SECTORS: u64 = 512;

/// A guest with a queue, on a disk of which it knows what it has in it.
fn guest() -> (Lives, CheckedDisk) {
    let lives = Lives::new(SECTORS, SIZE);
    let disk = CheckedDisk::new(vec![lives.queue()], 0..SECTORS);
    (lives, disk)
}

/// A daemon that takes all that is available before it serves any of it.
fn shuffled() -> vhost_user_tests::daemon::Launch {
    Daemon::blk_with_hooks().env("VHOST_USER_TEST_SHUFFLE", "3")
}

/// 32 writes, which are made available at once.
fn write_many(disk: &mut CheckedDisk) {
    for sector in (0..256).step_by(8) {
        disk.write(0, sector, 8);
    }
    disk.publish();
}

#[test]
fn queue_that_was_stopped_leaves_no_mark_and_goes_on_in_another_daemon() {
    let (mut lives, mut disk) = guest();
    let life = lives.begin(Daemon::blk(), disk.queues());
    write_many(&mut disk);
    disk.wait_for_all();
    assert_eq!(life.frontend.get_vring_base(0), 32);
    lives.part(0).expect_settled(32);
    drop(life.frontend);
    assert_eq!(life.daemon.sigterm().wait(), Exit::Clean);

    let life = lives.begin(Daemon::blk(), disk.queues());
    write_many(&mut disk);
    disk.wait_for_all();
    life.end_settled(&lives, &[disk]);
}

#[test]
fn queue_stopped_and_started_many_times_goes_on_with_its_region() {
    let (mut lives, mut disk) = guest();
    let life = lives.begin(Daemon::blk(), disk.queues());
    for round in 0..20 {
        write_many(&mut disk);
        // It is stopped in the middle, or so it may be.
        let base = life.frontend.get_vring_base(0);
        let used = disk.queues()[0].queue.used_index();
        assert_eq!(u32::from(used), base, "in round {round}");
        lives.part(0).expect_settled(used);
        life.frontend.start(0, &disk.queues()[0].queue);
        disk.wait_for_all();
    }
    life.end_settled(&lives, &[disk]);
}

#[test]
fn region_can_be_given_again_while_the_queue_is_stopped() {
    let (mut lives, mut disk) = guest();
    let life = lives.begin(Daemon::blk(), disk.queues());
    for _ in 0..3 {
        write_many(&mut disk);
        disk.wait_for_all();
        life.frontend.get_vring_base(0);
        life.frontend.set_inflight_fd(lives.region.as_ref().unwrap()).unwrap();
        life.frontend.start(0, &disk.queues()[0].queue);
    }
    life.end_settled(&lives, &[disk]);
}

#[test]
fn region_that_replaces_another_counts_from_the_next_start() {
    let (mut lives, mut disk) = guest();
    let life = lives.begin(Daemon::blk(), disk.queues());
    write_many(&mut disk);
    disk.wait_for_all();
    let second = life.frontend.get_inflight_fd(1, SIZE).unwrap();
    life.frontend.set_inflight_fd(&second).unwrap();
    write_many(&mut disk);
    disk.wait_for_all();
    assert_eq!(life.frontend.get_vring_base(0), 64);
    lives.part(0).expect_settled(64);
    assert_eq!(second.queue(0).used_idx(), 0);

    life.frontend.start(0, &disk.queues()[0].queue);
    write_many(&mut disk);
    disk.wait_for_all();
    let first = lives.region.replace(second).unwrap();
    life.end_settled(&lives, &[disk]);
    first.queue(0).expect_settled(64);
}

#[test]
fn region_of_a_front_end_that_left_in_the_middle_tells_the_truth() {
    for round in 0..10 {
        let (mut lives, mut disk) = guest();
        let life = lives.begin(shuffled(), disk.queues());
        write_many(&mut disk);
        disk.flush(0);
        disk.publish();
        if round % 2 == 0 {
            // What it has taken by now is completed; the rest stays where it is.
            drop(life.frontend);
        }
        assert_eq!(life.daemon.sigterm().wait(), Exit::Clean);
        lives.part(0).expect_settled(disk.queues()[0].queue.used_index());

        let life = lives.begin(Daemon::blk(), disk.queues());
        disk.wait_for_all();
        life.end_settled(&lives, &[disk]);
    }
}

#[test]
fn front_end_that_comes_back_to_the_same_daemon_goes_on_with_its_region() {
    let (mut lives, mut disk) = guest();
    let mut life = lives.begin(shuffled(), disk.queues());
    for _ in 0..10 {
        write_many(&mut disk);
        drop(life.frontend);
        life.frontend = lives.connect(&life.daemon, 1);
        super::start(&life.frontend, 0, &disk.queues()[0].queue);
        disk.wait_for_all();
    }
    life.end_settled(&lives, &[disk]);
}

#[test]
fn front_end_without_a_region_goes_on_where_the_used_ring_ends() {
    let mut guest = guest();
    let (lives, disk) = (&guest.0, &mut guest.1);
    for acked in [Protocol::INFLIGHT_SHMFD, Protocol::empty()] {
        let connect = |daemon: &Daemon| {
            let mut frontend = Frontend::connect(daemon);
            let usual = Protocol::MQ | Protocol::REPLY_ACK | Protocol::CONFIG;
            frontend.agree(USUAL | PROTOCOL_FEATURES, usual | acked);
            frontend.share(&lives.memory)
        };
        let daemon = lives.daemon(Daemon::blk());
        let frontend = connect(&daemon);
        super::start(&frontend, 0, &disk.queues()[0].queue);
        write_many(disk);
        disk.wait_for_all();
        daemon.sigkill();
        write_many(disk);

        let daemon = lives.daemon(Daemon::blk());
        let frontend = connect(&daemon);
        super::start(&frontend, 0, &disk.queues()[0].queue);
        disk.wait_for_all();
        let used = disk.queues()[0].queue.used_index();
        assert_eq!(frontend.get_vring_base(0), u32::from(used));
        disk.check(&lives.image);
        daemon.sigkill();
    }
}

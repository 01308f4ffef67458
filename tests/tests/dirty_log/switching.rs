// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Logging is on while LOG_ALL is acked and there is a log, and at no other time.

use std::collections::BTreeSet;

use vhost_user_tests::prelude::*;

use crate::{FAR, Guest, pages};

fn nothing() -> BTreeSet<u64> {
    BTreeSet::new()
}

#[test]
fn log_is_offered() {
    let it = Guest::new();
    assert_ne!(it.frontend.get_features() & LOG_ALL, 0);
    assert!(it.frontend.get_protocol_features().contains(Protocol::LOG_SHMFD));
}

#[test]
fn log_turned_on_while_the_queue_runs_has_what_is_written_from_then_on() {
    let mut it = Guest::new();
    it.read_to(FAR, 1);
    let log = it.logging();
    it.read_to(FAR + 0x5000, 2);
    assert_eq!(log.pages(), pages(FAR + 0x5000, 1));
}

#[test]
fn log_turned_on_before_there_is_one_has_what_is_written_once_it_is_there() {
    let mut it = Guest::new();
    it.log_all(true);
    it.read_to(FAR, 1);
    let log = it.log();
    it.frontend.set_log_base(&log).unwrap();
    it.read_to(FAR + 0x5000, 2);
    assert_eq!(log.pages(), pages(FAR + 0x5000, 1));
}

#[test]
fn log_turned_off_gets_no_bit_any_more() {
    let mut it = Guest::new();
    let memory = it.memory.clone();
    let log = it.logging();
    let used = it.disk.queue.rings().used;
    it.frontend.set_vring_addr_logged(0, it.disk.queue.rings(), &memory, used).unwrap();
    it.read_to(FAR, 1);
    assert!(log.has(FAR));
    it.log_all(false);
    log.clear();
    for sector in 0..20 {
        it.read_to(FAR + 0x1000 * sector, sector);
    }
    it.frontend.get_vring_base(0);
    assert_eq!(log.pages(), nothing());
}

#[test]
fn log_without_its_feature_gets_no_bit() {
    let mut it = Guest::new();
    let log = it.log();
    it.frontend.set_log_base(&log).unwrap();
    it.read_to(FAR, 1);
    it.frontend.get_vring_base(0);
    assert_eq!(log.pages(), nothing());
}

#[test]
fn log_turned_on_again_and_again_counts_each_time() {
    let mut it = Guest::new();
    for round in 0..5 {
        let log = it.logging();
        it.read_to(FAR + 0x1000 * round, round);
        assert_eq!(log.pages(), pages(FAR + 0x1000 * round, 1), "in round {round}");
        it.log_all(false);
        it.read_to(FAR, round);
    }
}

#[test]
fn log_replaced_gets_no_bit_any_more_and_its_successor_does() {
    let mut it = Guest::new();
    let old = it.logging();
    it.read_to(FAR, 1);
    let new = it.log();
    it.frontend.set_log_base(&new).unwrap();
    let before = old.pages();
    it.read_to(FAR + 0x5000, 2);
    it.frontend.get_vring_base(0);
    assert_eq!(old.pages(), before);
    assert_eq!(new.pages(), pages(FAR + 0x5000, 1));
}

#[test]
fn log_replaced_is_unmapped() {
    let mut it = Guest::new();
    let mappings = it.daemon.mappings_of("dirty-log");
    assert_eq!(mappings, 0);
    let descriptors = it.daemon.descriptors();
    for _ in 0..10 {
        it.logging();
        it.read_to(FAR, 1);
    }
    assert_eq!(it.daemon.mappings_of("dirty-log"), 1);
    assert!(it.daemon.descriptors() <= descriptors + 1);
}

#[test]
fn log_of_one_connection_gets_no_bit_from_the_next() {
    let mut it = Guest::new();
    let log = it.logging();
    it.read_to(FAR, 1);
    let Guest { disk, frontend, memory, daemon, image } = it;
    drop((disk, frontend));
    let mut frontend = Frontend::connect(&daemon).negotiate(USUAL | LOG_ALL).share(&memory);
    let disk = frontend.blk(0, 16);
    log.clear();
    let mut it = Guest { disk, frontend, memory, daemon, image };
    it.read_to(FAR, 2);
    it.frontend.get_vring_base(0);
    assert_eq!(log.pages(), nothing());
    assert_eq!(it.daemon.mappings_of("dirty-log"), 0);
}

#[test]
fn log_base_is_answered_whether_asked_or_not_and_once() {
    let it = Guest::new();
    let log = it.log();
    let message = Message::log_base(log.size(), log.offset()).descriptor(&log);
    let said = [log.size(), log.offset()].map(u64::to_ne_bytes).concat();
    for message in [message.clone(), message.need_reply()] {
        assert_eq!(it.frontend.outcome(&message), Outcome::Answered(said.clone()));
        assert!(it.frontend.is_served(), "a second answer would come before this one");
    }
}

#[test]
fn log_base_is_answered_without_reply_acks_too() {
    let it = Guest::new();
    let Guest { disk, frontend, daemon, .. } = it;
    drop((disk, frontend));
    let mut frontend = Frontend::connect(&daemon);
    frontend.agree(USUAL | PROTOCOL_FEATURES, Protocol::LOG_SHMFD);
    let log = vhost_user_tests::dirty_log::DirtyLog::up_to(FAR);
    frontend.set_log_base(&log).unwrap();
    assert!(frontend.is_served());
}

#[test]
fn log_outlives_a_reset_of_the_device() {
    let mut it = Guest::new();
    let log = it.logging();
    it.read_to(FAR, 1);
    it.frontend.reset_device().unwrap();
    log.clear();
    it.frontend.set_features(USUAL | PROTOCOL_FEATURES | LOG_ALL).unwrap();
    it.disk = it.frontend.blk(0, 16);
    it.read_to(FAR + 0x3000, 2);
    assert_eq!(log.pages(), pages(FAR + 0x3000, 1));
}

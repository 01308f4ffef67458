// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Negotiation, and doing it again.

use vhost_user_tests::prelude::*;

use crate::stranger;

#[test]
fn device_offers_what_the_front_ends_in_the_wild_need() {
    let (_image, _daemon, frontend) = stranger();
    let wanted = USUAL | PROTOCOL_FEATURES | LOG_ALL | MQ | SEG_MAX | BLK_SIZE;
    assert_eq!(frontend.get_features() & wanted, wanted);
    let wanted = Protocol::MQ
        | Protocol::REPLY_ACK
        | Protocol::CONFIG
        | Protocol::CONFIGURE_MEM_SLOTS
        | Protocol::BACKEND_REQ
        | Protocol::LOG_SHMFD
        | Protocol::INFLIGHT_SHMFD
        | Protocol::RESET_DEVICE
        | Protocol::STATUS;
    assert!(frontend.get_protocol_features().contains(wanted));
}

#[test]
fn negotiation_before_the_owner_is_served() {
    // QEMU says SET_OWNER after it has asked for everything.
    let (image, _daemon, mut frontend) = stranger();
    let offered = frontend.get_features();
    let protocol = frontend.get_protocol_features();
    frontend.set_protocol_features(protocol).unwrap();
    assert_eq!(frontend.get_queue_num(), 64);
    assert!(frontend.get_max_mem_slots() >= 8);
    frontend.set_owner().unwrap();
    assert_eq!(frontend.get_features(), offered);
    frontend.set_features(USUAL | PROTOCOL_FEATURES).unwrap();
    assert_eq!(frontend.blk(0, 16).read(1, 1), Ok(image.sector(1)));
}

#[test]
fn negotiation_repeated_is_served() {
    let (image, _daemon, mut frontend) = stranger();
    for _ in 0..3 {
        frontend.agree(USUAL | PROTOCOL_FEATURES, Protocol::REPLY_ACK | Protocol::CONFIG);
    }
    assert_eq!(frontend.blk(0, 16).read(1, 1), Ok(image.sector(1)));
}

#[test]
fn negotiation_repeated_while_a_queue_runs_does_not_disturb_it() {
    let mut it = Served::blk();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    it.frontend.set_features(USUAL | PROTOCOL_FEATURES).unwrap();
    assert_eq!(it.disk.read(2, 1), Ok(it.image.sector(2)));
}

#[test]
fn features_without_the_protocols_own_are_served() {
    let (image, _daemon, mut frontend) = stranger();
    frontend.agree(VERSION_1, Protocol::empty());
    let mut disk = frontend.blk(0, 16);
    assert_eq!(disk.read(1, 1), Ok(image.sector(1)));
}

#[test]
fn fewer_features_than_offered_are_served() {
    for features in [VERSION_1, VERSION_1 | EVENT_IDX, VERSION_1 | INDIRECT_DESC | FLUSH] {
        let mut it = Served::blk_with(&[], features);
        assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
        assert_eq!(it.disk.write(1, &Image::contents(99)), Ok(()));
        assert_eq!(it.image.sector(1), Image::contents(99));
    }
}

#[test]
fn ack_of_every_message_is_given_to_who_asks_for_it() {
    // The virtio-driver crate sets NEED_REPLY on every message, the questions among them: those
    // are answered once.
    let (image, _daemon, mut frontend) = stranger();
    frontend.agree(USUAL | PROTOCOL_FEATURES, Protocol::REPLY_ACK | Protocol::CONFIG);
    let question = Message::new(FrontendReq::GET_FEATURES).need_reply();
    assert!(matches!(frontend.outcome(&question), Outcome::Answered(_)));
    assert_eq!(frontend.blk(0, 16).read(1, 1), Ok(image.sector(1)));
}

#[test]
fn ack_is_not_given_to_who_did_not_negotiate_it() {
    let (_image, _daemon, mut frontend) = stranger();
    frontend.agree(USUAL | PROTOCOL_FEATURES, Protocol::CONFIG);
    frontend.send(&Message::new(FrontendReq::SET_OWNER).need_reply());
    // Were there an ack, it would come before this answer.
    assert!(frontend.is_served());
}

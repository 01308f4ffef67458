// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Messages in pieces, and many in one.

use vhost_user_tests::prelude::*;

use crate::stranger;

#[test]
fn message_byte_by_byte_is_answered() {
    let (_image, _daemon, frontend) = stranger();
    for byte in Message::new(FrontendReq::GET_FEATURES).wire() {
        frontend.send_bytes(&[byte]);
    }
    assert!(frontend.has_answered(FrontendReq::GET_FEATURES));
}

#[test]
fn messages_in_one_piece_are_answered_in_their_order() {
    let (_image, _daemon, frontend) = stranger();
    let questions =
        [FrontendReq::GET_FEATURES, FrontendReq::GET_PROTOCOL_FEATURES, FrontendReq::GET_FEATURES];
    let pieces: Vec<u8> = questions.iter().flat_map(|get| Message::new(*get).wire()).collect();
    frontend.send_bytes(&pieces);
    for question in questions {
        assert!(frontend.has_answered(question));
    }
}

#[test]
fn descriptor_with_the_first_byte_of_its_message_belongs_to_it() {
    let mut it = Served::blk();
    let kick = it.disk.queue.replace_kick();
    let request = FrontendReq::SET_VRING_KICK;
    let message = Message::vring_descriptor(request, 0, Some(it.disk.queue.kick_fd())).need_reply();
    it.frontend.send_part(&message, 1);
    it.frontend.send_bytes(&message.wire()[1..]);
    assert!(it.frontend.has_answered(request));
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    drop(kick);
}

#[test]
fn descriptors_of_messages_in_quick_succession_belong_to_their_messages() {
    // The back end may find both messages at once, but never may the descriptor of one become the
    // other's: then kicks would be read as calls.
    let mut it = Served::blk();
    for sector in 0..50 {
        let _old = (it.disk.queue.replace_kick(), it.disk.queue.replace_call());
        let (kick, call) = (it.disk.queue.kick_fd(), it.disk.queue.call_fd());
        it.frontend.send(&Message::vring_descriptor(FrontendReq::SET_VRING_KICK, 0, Some(kick)));
        it.frontend.send(&Message::vring_descriptor(FrontendReq::SET_VRING_CALL, 0, Some(call)));
        assert!(it.frontend.is_served(), "both are applied by then");
        assert_eq!(it.disk.read(sector, 1), Ok(it.image.sector(sector)));
    }
}

#[test]
fn half_a_message_holds_up_no_queue() {
    let message = Message::new(FrontendReq::SET_FEATURES).u64(USUAL | PROTOCOL_FEATURES);
    for len in [1, 11, 12, 15] {
        let mut it = Served::blk();
        it.frontend.send_part(&message, len);
        assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
        it.frontend.send_bytes(&message.wire()[len..]);
        assert!(it.frontend.is_served());
    }
}

#[test]
fn half_a_message_does_not_hold_up_sigterm() {
    for len in [1, 12, 15] {
        let it = Served::blk();
        it.frontend.send_part(&Message::new(FrontendReq::SET_FEATURES).u64(0), len);
        assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Messages that are not messages: headers, lengths and numbers.

use vhost_user_tests::frontend::{MAX_PAYLOAD, NEED_REPLY, REPLY, VERSION};
use vhost_user_tests::prelude::*;

use crate::Target;

/// Each message with a payload of one fixed size, rightly filled.
fn fixed() -> Vec<Message<'static>> {
    use FrontendReq as Req;
    vec![
        Message::new(Req::SET_OWNER),
        Message::new(Req::SET_FEATURES).u64(VERSION_1 | PROTOCOL_FEATURES),
        Message::new(Req::SET_PROTOCOL_FEATURES).u64(Protocol::REPLY_ACK.bits()),
        Message::vring(Req::SET_VRING_NUM, 0, 16),
        Message::vring(Req::SET_VRING_BASE, 0, 0),
        Message::vring(Req::SET_VRING_ENABLE, 0, 1),
        Message::vring_addr(0, 0x1000, 0x2000, 0x3000),
        Message::vring_descriptor(Req::SET_VRING_CALL, 0, None::<&std::fs::File>),
        Message::new(Req::SET_STATUS).u64(15),
        Message::mem_region(Req::REM_MEM_REG, &VhostUserMemoryRegion::new(0, 4096, 0, 0)),
    ]
}

#[test]
fn version_that_is_not_one_drops_the_connection() {
    let it = Target::new();
    for version in [0, 2, 3] {
        it.expect_dropped(&Message::new(FrontendReq::SET_OWNER).flags(version));
    }
}

#[test]
fn request_marked_as_a_reply_drops_the_connection() {
    let it = Target::new();
    it.expect_dropped(&Message::new(FrontendReq::GET_FEATURES).flags(VERSION | REPLY));
}

#[test]
fn payload_longer_than_the_longest_drops_the_connection_at_once() {
    let it = Target::new();
    for size in [4097, 0x1_0000, 0x8000_0000, u32::MAX] {
        // The payload itself never comes, and must not be waited for.
        it.expect_dropped(&Message::new(FrontendReq::SET_FEATURES).size(size));
    }
}

#[test]
fn unknown_request_is_refused_if_asked_and_ignored_otherwise() {
    let it = Target::new();
    for request in [0, 45, 1000, u32::MAX] {
        for payload in [0, 8, MAX_PAYLOAD] {
            let message = Message::numbered(request).bytes(&vec![0xaa; payload]);
            let frontend = it.session();
            assert_eq!(frontend.outcome(&message.clone().need_reply()), Outcome::Refused);
            frontend.send(&message);
            assert!(frontend.is_served());
            it.expect_served_on(frontend);
        }
    }
}

#[test]
fn unknown_request_before_any_negotiation_is_ignored() {
    let it = Target::new();
    let frontend = it.stranger();
    frontend.send(&Message::numbered(1000).u64(1));
    assert!(frontend.is_served());
    drop(frontend);
    it.expect_alive();
}

#[test]
fn known_request_of_another_device_is_refused() {
    let it = Target::new();
    for request in [FrontendReq::SEND_RARP, FrontendReq::NET_SET_MTU, FrontendReq::IOTLB_MSG] {
        let frontend = it.session();
        let message = Message::new(request).u64(1500);
        assert_eq!(frontend.outcome(&message.need_reply()), Outcome::Refused);
        it.expect_served_on(frontend);
    }
}

#[test]
fn payload_with_surplus_bytes_is_taken_without_them() {
    // User-mode Linux pads messages, and whoever pads has said all that counts before.
    let it = Target::new();
    let frontend = it.session();
    for message in fixed().into_iter().take(9) {
        for surplus in [1, 64, 4000] {
            let padded = message.clone().bytes(&vec![0xff; surplus]).need_reply();
            assert_eq!(frontend.outcome(&padded), Outcome::Acked);
        }
    }
    drop(frontend);
    it.expect_alive();
}

#[test]
fn payload_with_a_byte_too_few_is_refused() {
    let it = Target::new();
    for message in fixed().into_iter().skip(1) {
        let wire = message.wire();
        let payload = &wire[12..wire.len() - 1];
        let request = u32::from_ne_bytes(wire[..4].try_into().unwrap());
        it.expect_refused(&Message::numbered(request).bytes(payload));
        it.expect_refused(&Message::numbered(request));
    }
}

#[test]
fn bytes_that_are_no_messages_drop_the_connection() {
    let it = Target::new();
    for byte in [0x00, 0x55, 0xff] {
        let frontend = it.stranger();
        frontend.send_bytes(&[byte; 10_000]);
        frontend.expect_dropped();
        it.expect_alive();
    }
}

#[test]
fn random_bytes_leave_the_daemon_alive() {
    let it = Target::new();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..100 {
        let frontend = it.stranger();
        let mut bytes = Vec::new();
        for _ in 0..20 {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            // A plausible header, and then whatever comes.
            let size = u32::try_from(state >> 40 & 0x3f).unwrap();
            let request = u32::try_from(state >> 58).unwrap();
            for field in [request, VERSION | NEED_REPLY, size] {
                bytes.extend(field.to_ne_bytes());
            }
            bytes.extend((0..size).map(|i| state.rotate_left(i).to_ne_bytes()[0]));
        }
        frontend.send_bytes(&bytes);
        frontend.shut();
    }
    it.expect_alive();
}

#[test]
fn unknown_request_again_and_again_is_logged_once() {
    let it = Target::new();
    let frontend = it.session();
    for _ in 0..1000 {
        frontend.send(&Message::numbered(1000));
    }
    assert!(frontend.is_served());
    drop(frontend);
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
    let log = it.daemon.log().whole();
    let lines = log.lines().filter(|line| line.contains("unknown message 1000"));
    assert_eq!(lines.count(), 1, "{log}");
}

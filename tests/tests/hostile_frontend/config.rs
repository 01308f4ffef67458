// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The config space, asked for and written as nobody should; and features that were not offered.

use vhost_user_tests::prelude::*;

use crate::Target;

const GET: FrontendReq = FrontendReq::GET_CONFIG;
const SET: FrontendReq = FrontendReq::SET_CONFIG;

#[test]
fn config_space_asked_for_out_of_range_is_answered_with_nothing() {
    let it = Target::new();
    let frontend = it.session();
    for (offset, size) in [(u32::MAX, 1), (u32::MAX - 7, 16), (4096, 1), (4090, 8)] {
        assert_eq!(frontend.get_config(offset, size), Err(Refused), "{size} bytes at {offset}");
    }
    it.expect_served_on(frontend);
}

#[test]
fn config_space_asked_for_in_a_size_that_no_answer_has_is_answered_with_nothing() {
    let it = Target::new();
    for size in [0, 4085, 0x1_0000, u32::MAX] {
        let frontend = it.session();
        let message = Message::config(GET, 0, size, &[]);
        assert_eq!(frontend.outcome(&message), Outcome::Answered(Vec::new()), "{size} bytes");
        it.expect_served_on(frontend);
    }
}

#[test]
fn config_space_asked_for_in_the_largest_size_is_answered() {
    let it = Target::new();
    let frontend = it.session();
    let largest = frontend.get_config(0, 4084).unwrap();
    assert_eq!(largest[..8], 16u64.to_le_bytes());
    assert!(largest[60..].iter().all(|byte| *byte == 0));
    it.expect_served_on(frontend);
}

#[test]
fn config_space_written_is_refused_and_the_connection_goes_on() {
    let it = Target::new();
    let frontend = it.session();
    assert_eq!(frontend.set_config(0, &[0; 8]), Err(Refused));
    frontend.send(&Message::config(SET, 0, 8, &[0; 8]));
    assert!(frontend.is_served());
    it.expect_served_on(frontend);
}

#[test]
fn config_space_written_by_a_migration_is_refused_and_the_connection_goes_on() {
    let it = Target::new();
    let frontend = it.session();
    assert_eq!(frontend.set_config_with(0, &[0; 8], 1), Err(Refused));
    frontend.send(&Message::new(SET).u32(0).u32(8).u32(1).u64(0));
    assert!(frontend.is_served());
    it.expect_served_on(frontend);
}

#[test]
fn config_space_written_out_of_range_is_refused_and_the_connection_goes_on() {
    let it = Target::new();
    let frontend = it.session();
    assert_eq!(frontend.set_config(u32::MAX, &[0; 8]), Err(Refused));
    assert_eq!(frontend.set_config(60, &[0; 1]), Err(Refused));
    it.expect_served_on(frontend);
}

#[test]
fn features_that_were_not_offered_are_refused() {
    let it = Target::new();
    let unknown = (0..64).map(|bit| 1 << bit).find(|bit| it.session().get_features() & bit == 0);
    let features = USUAL | PROTOCOL_FEATURES | unknown.expect("a feature that is not offered");
    it.expect_refused(&Message::new(FrontendReq::SET_FEATURES).u64(features));
    it.expect_refused(&Message::new(FrontendReq::SET_FEATURES).u64(u64::MAX));
}

#[test]
fn protocol_features_that_were_not_offered_are_refused() {
    let it = Target::new();
    let refused = Protocol::REPLY_ACK.bits() | 1 << 63;
    let message = Message::new(FrontendReq::SET_PROTOCOL_FEATURES);
    it.expect_refused(&message.u64(refused));
}

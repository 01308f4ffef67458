// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Front ends that stop in the middle: of a message, of reading, of life.

use std::os::unix::net::UnixStream;

use vhost_user_tests::prelude::*;

use crate::Target;

#[test]
fn connection_that_ends_within_a_header_is_forgotten() {
    let it = Target::new();
    for len in 1..12 {
        let frontend = it.session();
        frontend.send_part(&Message::new(FrontendReq::SET_FEATURES).u64(0), len);
        frontend.shut();
        frontend.expect_dropped();
    }
    it.expect_alive();
}

#[test]
fn connection_that_ends_within_a_payload_is_forgotten() {
    let it = Target::new();
    for len in 12..20 {
        let frontend = it.session();
        frontend.send_part(&Message::new(FrontendReq::SET_FEATURES).u64(0), len);
        frontend.shut();
        frontend.expect_dropped();
    }
    it.expect_alive();
}

#[test]
fn descriptors_of_half_a_message_are_closed() {
    let it = Target::new();
    let memory = GuestMemory::new(1 << 20);
    let region = &memory.regions()[0];
    let message = Message::mem_table(&memory.table()).descriptor(region);
    for len in [1, 12, 13, 39] {
        let frontend = it.session();
        frontend.send_part(&message, len);
        drop(frontend);
    }
    it.expect_alive();
}

#[test]
fn connections_that_say_nothing_are_forgotten() {
    let it = Target::new();
    for _ in 0..100 {
        drop(it.stranger());
    }
    it.expect_alive();
}

#[test]
fn connections_that_are_never_accepted_are_forgotten() {
    let it = Target::new();
    let served = it.session();
    let waiting: Vec<_> =
        (0..50).map(|_| UnixStream::connect(it.daemon.socket()).unwrap()).collect();
    drop(waiting);
    assert!(served.is_served());
    drop(served);
    it.expect_alive();
}

#[test]
fn front_end_that_reads_no_answers_holds_up_nobody() {
    let it = Target::new();
    let mut frontend = it.session();
    let mut disk = frontend.blk(0, 16);
    let (question, socket) = (Message::new(FrontendReq::GET_FEATURES).wire(), frontend.socket());
    socket.set_nonblocking(true).unwrap();
    // Until the daemon's answers fill the socket, so that it takes no more questions.
    let flood = question.repeat(100);
    let mut silence = 0;
    while silence < 100 {
        match std::io::Write::write(&mut &*socket, &flood) {
            Ok(_) => silence = 0,
            Err(_) => silence += 1,
        }
        std::thread::yield_now();
    }
    assert_eq!(disk.read(3, 1), Ok(it.image.sector(3)), "the queue is served");
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn front_end_that_leaves_with_requests_in_flight_is_forgotten() {
    let it = Target::new();
    for _ in 0..20 {
        let mut frontend = it.session();
        let mut disk = frontend.blk(0, 256);
        let reads: Vec<Request> = (0..80).map(|i| Request::read(i % 16, 1)).collect();
        disk.submit_all(&reads);
    }
    it.expect_alive();
}

#[test]
fn front_end_that_stops_sending_is_answered_and_then_forgotten() {
    let it = Target::new();
    let frontend = it.session();
    frontend.send(&Message::new(FrontendReq::GET_FEATURES));
    frontend.shut();
    assert!(frontend.has_answered(FrontendReq::GET_FEATURES));
    frontend.expect_dropped();
    it.expect_alive();
}

#[test]
fn front_end_that_never_stops_sending_does_not_hold_up_sigterm() {
    let it = Target::new();
    let frontend = it.session();
    let many = Message::new(FrontendReq::SET_OWNER).wire().repeat(1000);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while it.daemon.process().is_running() {
                frontend.send_bytes(&many);
            }
        });
        assert!(it.daemon.log().has("front end connected"));
        assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
    });
}

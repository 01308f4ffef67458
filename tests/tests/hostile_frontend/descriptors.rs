// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Messages with more descriptors than they need, with fewer, and with odd ones.

use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixStream;

use vhost_user_tests::eventfd::EventFd;
use vhost_user_tests::lingering::{Lingering, OtherEnd};
use vhost_user_tests::prelude::*;

use crate::Target;

const KICK: FrontendReq = FrontendReq::SET_VRING_KICK;

fn null() -> File {
    File::open("/dev/null").expect("open /dev/null")
}

#[test]
fn descriptors_of_a_message_that_takes_none_are_closed() {
    let it = Target::new();
    let null = null();
    let frontend = it.session();
    for message in [
        Message::new(FrontendReq::SET_OWNER),
        Message::new(FrontendReq::SET_FEATURES).u64(USUAL | PROTOCOL_FEATURES),
        Message::vring(FrontendReq::SET_VRING_NUM, 0, 16),
    ] {
        let many = (0..8).fold(message, |message, _| message.descriptor(&null));
        assert_eq!(frontend.outcome(&many.need_reply()), Outcome::Acked);
    }
    it.expect_served_on(frontend);
}

#[test]
fn descriptors_of_an_unknown_message_are_closed() {
    let it = Target::new();
    let null = null();
    let message = Message::numbered(1000).descriptor(&null).descriptor(&null);
    let frontend = it.session();
    frontend.send(&message);
    assert_eq!(frontend.outcome(&message.need_reply()), Outcome::Refused);
    it.expect_served_on(frontend);
}

#[test]
fn as_many_descriptors_as_the_kernel_passes_are_closed() {
    let it = Target::new();
    let null = null();
    let one = Message::new(FrontendReq::SET_OWNER);
    let most = (0..253).fold(one, |message, _| message.descriptor(&null));
    let frontend = it.session();
    // Refused or dropped, as it has room for; but not left open.
    frontend.send(&most);
    drop(frontend);
    it.expect_alive();
}

#[test]
fn kick_without_its_descriptor_is_refused() {
    let it = Target::new();
    it.expect_refused(&Message::new(KICK).u64(0));
    it.expect_refused(&Message::new(FrontendReq::SET_VRING_CALL).u64(0));
    it.expect_refused(&Message::new(FrontendReq::SET_VRING_ERR).u64(0));
}

#[test]
fn kick_with_two_descriptors_is_refused() {
    let it = Target::new();
    let (one, other) = (EventFd::new(), EventFd::new());
    for request in [KICK, FrontendReq::SET_VRING_CALL, FrontendReq::SET_VRING_ERR] {
        it.expect_refused(&Message::new(request).u64(0).descriptor(&one).descriptor(&other));
    }
}

#[test]
fn descriptor_of_a_kick_that_says_that_there_is_none_is_closed() {
    let it = Target::new();
    let event = EventFd::new();
    let frontend = it.session();
    let call = Message::new(FrontendReq::SET_VRING_CALL).u64(1 << 8).descriptor(&event);
    assert_eq!(frontend.outcome(&call.need_reply()), Outcome::Acked);
    it.expect_served_on(frontend);
}

#[test]
fn backend_channel_without_its_descriptor_is_refused() {
    let it = Target::new();
    it.expect_refused(&Message::new(FrontendReq::SET_BACKEND_REQ_FD));
}

/// A queue whose kick or call descriptor is odd, beside another one that is not.
#[track_caller]
fn expect_other_queue_served(it: &Target, request: FrontendReq, odd: &impl std::os::fd::AsFd) {
    let mut frontend = it.session();
    let mut good = frontend.blk(1, 16);
    let mut bad = BlkQueue::new(frontend.stopped_queue(16));
    frontend.prepare(0, &bad.queue);
    // Whether it takes such a descriptor is the daemon's choice.
    let _ = frontend.tell(Message::vring_descriptor(request, 0, Some(odd)));
    if request != KICK {
        let _ = frontend.set_vring_kick(0, bad.queue.kick_fd());
    }
    let _ = frontend.set_vring_enable(0, true);
    bad.submit(&Request::read(1, 1));
    bad.queue.kick();
    assert_eq!(good.read(2, 1), Ok(it.image.sector(2)));
    assert!(frontend.is_served());
    drop((frontend, good, bad));
    it.expect_alive();
}

#[test]
fn kick_descriptor_of_a_file_harms_nobody() {
    let it = Target::new();
    expect_other_queue_served(&it, KICK, &File::open(it.image.path()).unwrap());
    expect_other_queue_served(&it, KICK, &null());
    expect_other_queue_served(&it, KICK, &File::open("/").unwrap());
}

#[test]
fn kick_descriptor_whose_other_end_is_gone_harms_nobody() {
    let it = Target::new();
    let (kick, _) = UnixStream::pair().unwrap();
    expect_other_queue_served(&it, KICK, &kick);
}

#[test]
fn kick_descriptor_without_end_harms_nobody() {
    let it = Target::new();
    expect_other_queue_served(&it, KICK, &File::open("/dev/zero").unwrap());
}

#[test]
fn call_descriptor_of_a_file_harms_nobody() {
    let it = Target::new();
    expect_other_queue_served(&it, FrontendReq::SET_VRING_CALL, &null());
    expect_other_queue_served(&it, FrontendReq::SET_VRING_CALL, &File::open("/").unwrap());
}

#[test]
fn call_descriptor_whose_other_end_is_gone_harms_nobody() {
    let it = Target::new();
    let (call, _) = UnixStream::pair().unwrap();
    expect_other_queue_served(&it, FrontendReq::SET_VRING_CALL, &call);
}

#[test]
fn call_descriptor_that_would_block_harms_nobody() {
    let it = Target::new();
    let (call, _other) = UnixStream::pair().unwrap();
    call.set_nonblocking(true).unwrap();
    while (&call).write(&[0; 4096]).is_ok() {}
    while (&call).write(&[0; 1]).is_ok() {}
    call.set_nonblocking(false).unwrap();
    expect_other_queue_served(&it, FrontendReq::SET_VRING_CALL, &call);
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn err_descriptor_that_would_block_harms_nobody() {
    let it = Target::new();
    let (err, _other) = UnixStream::pair().unwrap();
    err.set_nonblocking(true).unwrap();
    while (&err).write(&[0; 4096]).is_ok() {}
    while (&err).write(&[0; 1]).is_ok() {}
    err.set_nonblocking(false).unwrap();
    let mut frontend = it.session();
    let mut queue = frontend.queue(0, 16);
    let told = Message::vring_descriptor(FrontendReq::SET_VRING_ERR, 0, Some(&err));
    let _ = frontend.tell(told);
    queue.offer(999);
    assert_eq!(frontend.blk(1, 16).read(2, 1), Ok(it.image.sector(2)));
    assert!(it.daemon.log().has("head 999 is beyond ring size 16"));
    drop((frontend, queue));
    it.expect_alive();
}

#[test]
fn same_descriptor_for_everything_harms_nobody() {
    let it = Target::new();
    let mut frontend = it.session();
    let mut disk = frontend.blk(0, 16);
    let same = EventFd::new();
    frontend.set_vring_kick(0, &same).unwrap();
    frontend.set_vring_call(0, &same).unwrap();
    frontend.set_vring_err(0, &same).unwrap();
    disk.add(&Request::read(3, 1));
    disk.queue.publish();
    same.signal();
    assert_eq!(disk.watch().1.bytes, it.image.sector(3));
    assert!(frontend.is_served());
    drop((frontend, disk));
    it.expect_alive();
}

/// Sends a message with a socket that takes minutes to close, of which the daemon then has the
/// only descriptor.
fn send_lingering(frontend: &Frontend, message: Message<'_>) -> OtherEnd {
    let (socket, other_end) = Lingering::new();
    let message = message.descriptor(&socket);
    let wire = message.wire();
    frontend.send_part(&message, 4);
    drop(socket);
    frontend.send_bytes(&wire[4..]);
    other_end
}

#[test]
fn socket_that_takes_its_time_to_close_holds_up_nobody() {
    let it = Target::new();
    for message in [
        Message::new(FrontendReq::SET_OWNER),
        Message::numbered(1000),
        Message::new(FrontendReq::SET_VRING_CALL).u64(1),
    ] {
        let frontend = it.session();
        let other_end = send_lingering(&frontend, message);
        assert!(frontend.is_served());
        it.expect_served_on(frontend);
        drop(other_end);
    }
}

#[test]
fn call_that_takes_its_time_to_close_is_replaced_at_once() {
    let it = Target::new();
    let mut frontend = it.session();
    let mut disk = frontend.blk(1, 16);
    let call = Message::new(FrontendReq::SET_VRING_CALL).u64(1);
    let other_end = send_lingering(&frontend, call);
    frontend.set_vring_call(1, disk.queue.call_fd()).unwrap();
    assert_eq!(disk.read(2, 1), Ok(it.image.sector(2)));
    drop((frontend, disk));
    it.expect_alive();
    drop(other_end);
}

#[test]
fn socket_that_takes_its_time_to_close_in_half_a_message_holds_up_nobody() {
    let it = Target::new();
    let frontend = it.session();
    let (socket, other_end) = Lingering::new();
    frontend.send_part(&Message::new(FrontendReq::SET_OWNER).descriptor(&socket), 4);
    drop(socket);
    drop(frontend);
    it.expect_alive();
    drop(other_end);
}

#[test]
fn socket_that_takes_its_time_to_close_and_was_never_received_holds_up_nobody() {
    let it = Target::new();
    let frontend = it.session();
    let (socket, other_end) = Lingering::new();
    it.daemon.process().signal(libc::SIGSTOP);
    // The connection ends with the first one; the second one is never read.
    frontend.send(&Message::numbered(1).flags(0));
    frontend.send(&Message::new(FrontendReq::SET_OWNER).descriptor(&socket));
    drop(socket);
    it.daemon.process().signal(libc::SIGCONT);
    frontend.expect_dropped();
    it.expect_alive();
    drop(other_end);
}

#[test]
fn socket_that_takes_its_time_to_close_of_a_front_end_that_is_refused_holds_up_nobody() {
    let it = Target::new();
    let served = it.session();
    let (socket, other_end) = Lingering::new();
    it.daemon.process().signal(libc::SIGSTOP);
    let refused = it.stranger();
    refused.send(&Message::new(FrontendReq::SET_OWNER).descriptor(&socket));
    drop(socket);
    it.daemon.process().signal(libc::SIGCONT);
    refused.expect_dropped();
    it.expect_served_on(served);
    drop(other_end);
}

#[test]
fn socket_that_takes_its_time_to_close_beyond_the_descriptors_taken_holds_up_nobody() {
    let it = Target::new();
    let (null, frontend) = (null(), it.session());
    let (socket, other_end) = Lingering::new();
    let message = Message::new(FrontendReq::SET_OWNER);
    let many = (0..252).fold(message, |message, _| message.descriptor(&null)).descriptor(&socket);
    frontend.send(&many);
    drop(many);
    drop(socket);
    frontend.expect_dropped();
    it.expect_alive();
    drop(other_end);
}

#[test]
fn socket_that_takes_its_time_to_close_in_the_backlog_does_not_hold_up_sigterm() {
    let it = Target::new();
    let served = it.session();
    let (socket, other_end) = Lingering::new();
    it.daemon.process().signal(libc::SIGSTOP);
    let waiting = it.stranger();
    waiting.send(&Message::new(FrontendReq::SET_OWNER).descriptor(&socket));
    drop(socket);
    let more: Vec<_> = (0..10).map(|_| it.stranger()).collect();
    let stopping = it.daemon.sigterm();
    drop(served);
    it.daemon.process().signal(libc::SIGCONT);
    assert_eq!(stopping.wait(), Exit::Clean);
    drop((waiting, more, other_end));
}

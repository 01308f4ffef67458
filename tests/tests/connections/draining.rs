// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A connection whose queues have not come to rest: the next one waits, however long that takes.

use vhost_user_tests::deadline::until;
use vhost_user_tests::prelude::*;

use crate::{Host, IDLE};

#[test]
fn connection_made_while_the_last_one_drains_waits_and_is_then_served() {
    let mut it = Host::new();
    let (frontend, mut disks) = it.connect();
    assert_eq!(disks[0].read(1, 1), Ok(it.image.sector(1)));
    let stopped = it.daemon.stop_thread("blk-q0");
    disks[0].submit(&Request::read(2, 1));
    drop(frontend);
    let mut next = Frontend::connect(&it.daemon);
    next.send(&Message::new(FrontendReq::GET_FEATURES));
    // What wakes it has happened; when it sleeps, it has seen all of it.
    until("the daemon to have nothing to do", || it.daemon.process().is_asleep().then_some(()));
    assert!(next.is_silent(), "answered or refused while the last connection drains");
    assert_eq!(it.daemon.log().count(IDLE), 1);

    stopped.resume();
    assert!(next.has_answered(FrontendReq::GET_FEATURES));
    next = next.negotiate(USUAL);
    assert_eq!(next.blk(0, 16).read(3, 1), Ok(it.image.sector(3)));
    assert_eq!(it.daemon.log().count("refused a front end"), 0);
}

#[test]
fn connections_made_while_the_last_one_drains_are_served_one_after_the_other() {
    let mut it = Host::new();
    let (frontend, mut disks) = it.connect();
    assert_eq!(disks[1].read(1, 1), Ok(it.image.sector(1)));
    let stopped = it.daemon.stop_thread("blk-q1");
    disks[1].submit(&Request::read(2, 1));
    drop(frontend);
    // Both are in the backlog; the second is refused only once the first is served.
    let first = Frontend::connect(&it.daemon);
    let second = Frontend::connect(&it.daemon);
    until("the daemon to have nothing to do", || it.daemon.process().is_asleep().then_some(()));
    assert!(first.is_silent() && second.is_silent());
    stopped.resume();
    assert!(first.is_served());
    second.expect_dropped();
    drop(first);
    it.serve(4);
}

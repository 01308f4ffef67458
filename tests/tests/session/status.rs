// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! SET_STATUS and GET_STATUS: what the driver says of itself, which by itself changes nothing.

use vhost_user_tests::prelude::*;

use crate::stranger;

#[test]
fn status_is_what_was_set_last() {
    let (_image, _daemon, frontend) = stranger();
    let frontend = frontend.negotiate(USUAL);
    assert_eq!(frontend.get_status(), 0);
    for status in [1, 3, 11, 15, 0x80, 0xff, 0] {
        frontend.set_status(status).unwrap();
        assert_eq!(frontend.get_status(), status);
    }
}

#[test]
fn status_zero_stops_no_queue_and_forgets_no_index() {
    // QEMU 7.2 sends it first of all when it stops a device, and asks for the bases then.
    let mut it = Served::blk();
    it.frontend.set_status(15).unwrap();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    it.frontend.set_status(0).unwrap();
    assert_eq!(it.disk.read(2, 1), Ok(it.image.sector(2)));
    assert_eq!(it.frontend.get_vring_base(0), 2);
    it.frontend.start(0, &it.disk.queue);
    assert_eq!(it.disk.read(3, 1), Ok(it.image.sector(3)));
    assert_eq!(it.frontend.get_vring_base(0), 3);
}

#[test]
fn status_zero_after_the_bases_changes_nothing_either() {
    // Later versions of QEMU send it last.
    let mut it = Served::blk();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    assert_eq!(it.frontend.get_vring_base(0), 1);
    it.frontend.set_status(0).unwrap();
    assert_eq!(it.frontend.get_vring_base(0), 1);
    it.frontend.start(0, &it.disk.queue);
    assert_eq!(it.disk.read(2, 1), Ok(it.image.sector(2)));
}

#[test]
fn status_of_one_connection_does_not_hold_for_the_next() {
    let it = Served::blk();
    it.frontend.set_status(15).unwrap();
    let it = it.reconnected();
    assert_eq!(it.frontend.get_status(), 0);
}

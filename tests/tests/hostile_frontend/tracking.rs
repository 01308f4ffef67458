// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Dirty logs, channels, statuses and flags that cannot be. The answer to SET_LOG_BASE has no word
//! for a refusal.

use std::fs::{File, OpenOptions};
use std::os::unix::net::UnixStream;

use vhost_user_tests::dirty_log::DirtyLog;
use vhost_user_tests::eventfd::EventFd;
use vhost_user_tests::prelude::*;

use crate::Target;

const PAGE: u64 = 4096;

/// A log of one page, in a file of just that length.
fn log() -> DirtyLog {
    DirtyLog::of_size(PAGE, 0)
}

#[test]
fn log_without_its_file_or_with_two_costs_the_connection() {
    let it = Target::new();
    let log = log();
    let message = Message::log_base(PAGE, 0);
    it.expect_dropped(&message);
    it.expect_dropped(&message.descriptor(&log).descriptor(&log));
}

#[test]
fn log_longer_than_its_file_costs_the_connection() {
    let it = Target::new();
    let log = log();
    for (size, offset) in [(PAGE + 1, 0), (PAGE, PAGE), (PAGE, 1), (1 << 40, 0), (1, 1 << 62)] {
        it.expect_dropped(&Message::log_base(size, offset).descriptor(&log));
    }
    assert!(it.daemon.log().has("map the dirty log: its file has 0x1000 bytes"));
}

#[test]
fn log_of_no_bytes_costs_the_connection() {
    let it = Target::new();
    it.expect_dropped(&Message::log_base(0, 0).descriptor(&log()));
}

#[test]
fn log_whose_end_wraps_costs_the_connection() {
    let it = Target::new();
    let log = log();
    for (size, offset) in [(u64::MAX, 1), (PAGE, u64::MAX - 1), (u64::MAX, 0), (1 << 63, 0)] {
        it.expect_dropped(&Message::log_base(size, offset).descriptor(&log));
    }
}

#[test]
fn log_of_what_cannot_be_mapped_costs_the_connection() {
    let it = Target::new();
    let image = Image::of_sectors(64);
    let read_only = OpenOptions::new().read(true).open(image.path()).unwrap();
    for file in [File::open("/").unwrap(), File::open("/dev/null").unwrap(), read_only] {
        it.expect_dropped(&Message::log_base(PAGE, 0).descriptor(&file));
    }
    it.expect_dropped(&Message::log_base(PAGE, 0).descriptor(&UnixStream::pair().unwrap().0));
}

#[test]
fn log_whose_payload_ends_early_costs_the_connection() {
    let it = Target::new();
    let log = log();
    let request = FrontendReq::SET_LOG_BASE;
    it.expect_dropped(&Message::new(request).u64(PAGE).bytes(&[0; 7]).descriptor(&log));
    it.expect_dropped(&Message::new(request).descriptor(&log));
}

#[test]
fn log_descriptor_that_is_missing_doubled_or_a_file_is_refused() {
    let it = Target::new();
    let event = EventFd::new();
    let message = Message::new(FrontendReq::SET_LOG_FD);
    it.expect_refused(&message.clone().descriptor(&File::open(it.image.path()).unwrap()));
    assert!(it.daemon.log().has("descriptor for the dirty log is no eventfd, pipe or socket"));
    it.expect_refused(&message);
    it.expect_refused(&message.descriptor(&event).descriptor(&event));
}

#[test]
fn log_descriptor_that_would_block_harms_nobody() {
    use std::io::Write;
    let it = Target::new();
    let (full, _other) = UnixStream::pair().unwrap();
    full.set_nonblocking(true).unwrap();
    while (&full).write(&[0; 4096]).is_ok() {}
    while (&full).write(&[0; 1]).is_ok() {}
    full.set_nonblocking(false).unwrap();
    let mut frontend = it.session();
    frontend.set_log_base(&DirtyLog::up_to(1 << 30)).unwrap();
    frontend.set_log_fd(&full).unwrap();
    frontend.set_features(frontend.features() | LOG_ALL).unwrap();
    it.expect_served_on(frontend);
}

#[test]
fn ring_logged_at_the_end_of_the_address_space_harms_nobody() {
    let it = Target::new();
    let mut frontend = it.session();
    let memory = frontend.memory();
    let mut disk = frontend.blk(0, 16);
    frontend.set_log_base(&DirtyLog::up_to(1 << 30)).unwrap();
    frontend.set_features(frontend.features() | LOG_ALL).unwrap();
    for log in [u64::MAX, u64::MAX - 3, u64::MAX - 4095, 1 << 63] {
        frontend.set_vring_addr_logged(0, disk.queue.rings(), &memory, log).unwrap();
        assert_eq!(disk.read(2, 1), Ok(it.image.sector(2)));
    }
    assert!(it.daemon.log().has("the dirty log has no bit for guest address"));
    drop(disk);
    it.expect_served_on(frontend);
}

#[test]
fn channel_for_the_back_end_that_is_no_socket_is_refused() {
    let it = Target::new();
    let (socket, _other) = UnixStream::pair().unwrap();
    let message = Message::new(FrontendReq::SET_BACKEND_REQ_FD);
    it.expect_refused(&message.clone().descriptor(&EventFd::new()));
    it.expect_refused(&message.clone().descriptor(&File::open(it.image.path()).unwrap()));
    it.expect_refused(&message.descriptor(&socket).descriptor(&socket));
    assert!(it.daemon.log().has("descriptor for requests of the back end is no socket"));
}

#[test]
fn status_of_more_than_a_byte_is_refused_and_changes_nothing() {
    let it = Target::new();
    for status in [0x100, u64::MAX, 1 << 32 | 1] {
        it.expect_refused(&Message::new(FrontendReq::SET_STATUS).u64(status));
    }
    let frontend = it.session();
    frontend.set_status(7).unwrap();
    assert_eq!(frontend.set_status(0x100), Err(Refused));
    assert_eq!(frontend.get_status(), 7);
}

#[test]
fn config_space_written_with_flags_that_there_are_not_is_refused() {
    let it = Target::new();
    for flags in [2, 3, 0x8000_0000] {
        let head = Message::new(FrontendReq::SET_CONFIG).u32(0).u32(8).u32(flags);
        it.expect_refused(&head.bytes(&[0; 8]));
    }
    assert!(it.daemon.log().has("flags 0x2 of a write to the config space are not known"));
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The file that the log is in, and the descriptor that says that something is.

use std::fs::File;
use std::io::{self, Read};

use vhost_user_tests::deadline::Deadline;
use vhost_user_tests::dirty_log::{DirtyLog, LOG_PAGE};
use vhost_user_tests::eventfd::EventFd;
use vhost_user_tests::prelude::*;

use crate::{FAR, Guest, pages};

#[test]
fn log_that_begins_within_its_file_gets_its_bits_there() {
    let mut it = Guest::new();
    let log = DirtyLog::of_size(it.log().size(), 3 * LOG_PAGE);
    it.frontend.set_log_base(&log).unwrap();
    it.log_all(true);
    it.read_to(FAR + 0x5000, 1);
    assert_eq!(log.pages(), pages(FAR + 0x5000, 1));
    assert!(!log.has_strays());
}

#[test]
fn log_too_short_for_the_memory_gets_what_it_has_bits_for() {
    let mut it = Guest::new();
    // Up to the middle of the far region, and to the end of a page of the log.
    let page = FAR / LOG_PAGE + 64;
    let log = DirtyLog::of_size(page / 8, 0);
    log.file().set_len(log.size().next_multiple_of(LOG_PAGE)).unwrap();
    it.frontend.set_log_base(&log).unwrap();
    it.log_all(true);
    let end = page * LOG_PAGE;
    it.read_to(end - LOG_PAGE, 1);
    assert_eq!(it.daemon.log().count("the dirty log has no bit"), 0);
    it.read_to(end, 2);
    it.read_to(end + 0x3000, 3);
    assert_eq!(log.pages(), pages(end - LOG_PAGE, 1));
    assert!(!log.has_strays());
    let line = format!("the dirty log has no bit for guest address {end:#x}");
    assert!(it.daemon.log().has(&line), "{}", it.daemon.log().text());
    assert_eq!(it.daemon.log().count("the dirty log has no bit"), 1, "said once");
}

#[test]
fn log_truncated_afterwards_costs_the_connection_alone() {
    let mut it = Guest::new();
    let log = it.logging();
    it.read_to(FAR, 1);
    log.file().set_len(0).unwrap();
    let writable = it.memory.buffer_at(FAR, SECTOR + 1);
    it.disk.add_in(&Request::read(2, 1), it.memory.buffer(16), writable);
    it.disk.queue.publish();
    it.disk.queue.kick();
    it.frontend.expect_dropped();
    assert!(it.daemon.log().has("the dirty log has pages that cannot be had"));

    let Guest { disk, frontend, memory, daemon, image } = it;
    drop((disk, frontend));
    let mut frontend = Frontend::connect(&daemon).negotiate(USUAL).share(&memory);
    let disk = frontend.blk(0, 16);
    let mut it = Guest { disk, frontend, memory, daemon, image };
    let log = it.logging();
    it.read_to(FAR, 3);
    assert_eq!(log.pages(), pages(FAR, 1));
}

#[test]
fn log_descriptor_is_signalled_when_pages_are_logged() {
    let mut it = Guest::new();
    let logged = EventFd::new();
    it.frontend.set_log_fd(&logged).unwrap();
    it.read_to(FAR, 1);
    it.frontend.set_log_fd(&logged).unwrap();
    assert_eq!(logged.take(), 0, "nothing is logged yet");
    it.logging();
    it.read_to(FAR, 1);
    assert!(logged.wait(Deadline::new()) > 0);
}

#[test]
fn log_descriptor_is_not_signalled_while_logging_is_off() {
    let mut it = Guest::new();
    let logged = EventFd::new();
    it.logging();
    it.frontend.set_log_fd(&logged).unwrap();
    it.read_to(FAR, 1);
    assert!(logged.wait(Deadline::new()) > 0);
    it.log_all(false);
    logged.take();
    it.read_to(FAR, 1);
    it.frontend.get_vring_base(0);
    assert_eq!(logged.take(), 0);
}

#[test]
fn log_descriptor_replaced_is_signalled_and_its_predecessor_is_not() {
    let mut it = Guest::new();
    let [old, new] = [EventFd::new(), EventFd::new()];
    it.logging();
    it.frontend.set_log_fd(&old).unwrap();
    it.read_to(FAR, 1);
    it.frontend.set_log_fd(&new).unwrap();
    old.take();
    it.read_to(FAR, 2);
    assert!(new.wait(Deadline::new()) > 0);
    it.frontend.get_vring_base(0);
    assert_eq!(old.take(), 0);
}

#[test]
fn log_descriptor_that_is_a_pipe_gets_eight_bytes() {
    let mut it = Guest::new();
    let (mut reader, writer) = io::pipe().unwrap();
    it.logging();
    it.frontend.set_log_fd(&writer).unwrap();
    it.read_to(FAR, 1);
    assert!(Deadline::new().readable(&reader));
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes).unwrap();
    assert_eq!(u64::from_ne_bytes(bytes), 1);
}

#[test]
fn log_descriptor_of_a_file_is_refused() {
    let it = Guest::new();
    assert_eq!(it.frontend.set_log_fd(&File::open("/dev/null").unwrap()), Err(Refused));
    assert!(it.frontend.is_served());
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Kick, call and err descriptors that are pipes: eight bytes stand for a notification.

use std::io::{PipeReader, PipeWriter, Read, Write};

use vhost_user_tests::deadline::Deadline;
use vhost_user_tests::prelude::*;

fn pipe() -> (PipeReader, PipeWriter) {
    std::io::pipe().expect("make a pipe")
}

/// Waits for the eight bytes of a notification.
#[track_caller]
fn notified(pipe: &PipeReader) -> u64 {
    assert!(Deadline::new().readable(pipe), "no notification");
    let mut bytes = [0; 8];
    (&mut &*pipe).read_exact(&mut bytes).expect("read a notification");
    u64::from_ne_bytes(bytes)
}

/// Whether nothing is in the pipe.
fn is_empty(pipe: &PipeReader) -> bool {
    !Deadline::after(std::time::Duration::ZERO).readable(pipe)
}

/// Writes to the pipe until there is no room for more.
fn fill(pipe: &PipeWriter) {
    let room = || Deadline::after(std::time::Duration::ZERO).writable(pipe);
    while room() {
        (&mut &*pipe).write_all(&[0; 4096]).expect("fill a pipe");
    }
}

#[test]
fn call_to_a_pipe_is_eight_bytes() {
    let mut it = Served::blk_with(&[], VERSION_1);
    let (reader, writer) = pipe();
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
    it.frontend.set_vring_call(0, &writer).unwrap();
    // One for what nobody has heard of while there was another descriptor.
    assert_eq!(notified(&reader), 1);
    for sector in 2..6 {
        it.disk.submit(&Request::read(sector, 1));
        assert_eq!(notified(&reader), 1);
        assert_eq!(it.disk.watch().1.bytes, it.image.sector(sector));
    }
    it.frontend.get_vring_base(0);
    assert!(is_empty(&reader));
}

#[test]
fn call_to_a_full_pipe_holds_up_nobody() {
    let mut it = Served::blk_with(&[], VERSION_1);
    let (reader, writer) = pipe();
    fill(&writer);
    it.frontend.set_vring_call(0, &writer).unwrap();
    for sector in 0..20 {
        it.disk.submit(&Request::read(sector, 1));
        assert_eq!(it.disk.watch().1.bytes, it.image.sector(sector));
    }
    // Once there is room, it is written to again.
    it.frontend.set_vring_err(0, it.disk.queue.err_fd()).unwrap();
    while !is_empty(&reader) {
        (&mut &reader).read_exact(&mut [0; 4096]).unwrap();
    }
    it.disk.submit(&Request::read(30, 1));
    assert_eq!(notified(&reader), 1);
    assert_eq!(it.frontend.get_vring_base(0), 21);
}

#[test]
fn call_to_a_pipe_that_nobody_reads_any_more_harms_nobody() {
    let mut it = Served::blk_with(&[], VERSION_1);
    let (reader, writer) = pipe();
    it.frontend.set_vring_call(0, &writer).unwrap();
    drop(reader);
    for sector in 0..5 {
        it.disk.submit(&Request::read(sector, 1));
        assert_eq!(it.disk.watch().1.bytes, it.image.sector(sector));
    }
    assert!(it.daemon.process().is_running());
}

#[test]
fn kick_from_a_pipe_is_heard() {
    let mut it = Served::blk();
    let (reader, mut writer) = pipe();
    let mut disk = BlkQueue::new(it.frontend.stopped_queue(16));
    it.frontend.prepare(1, &disk.queue);
    it.frontend.set_vring_kick(1, &reader).unwrap();
    it.frontend.set_vring_enable(1, true).unwrap();
    drop(reader);
    for sector in 0..20 {
        disk.add(&Request::read(sector, 1));
        disk.queue.publish();
        writer.write_all(&1u64.to_ne_bytes()).unwrap();
        assert_eq!(disk.wait().1.bytes, it.image.sector(sector));
    }
}

#[test]
fn err_to_a_pipe_is_eight_bytes() {
    let mut it = Served::blk();
    let (reader, writer) = pipe();
    it.frontend.set_vring_err(0, &writer).unwrap();
    it.disk.queue.offer(999);
    assert_eq!(notified(&reader), 1);
}

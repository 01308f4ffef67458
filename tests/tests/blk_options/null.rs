// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `--blk-file null:SIZE`: a disk that does nothing, for measuring all the rest.

use vhost_user_tests::prelude::*;

fn null(size: &str, features: u64) -> Driven {
    Driven::start(Daemon::blk().arg("--blk-file").arg(format!("null:{size}")), features)
}

#[test]
fn disk_without_data_leaves_the_memory_of_a_read_as_it_is() {
    let mut it = null("1M", USUAL);
    let memory = it.frontend.memory();
    let (header, room) = (memory.buffer(16), memory.buffer(4097));
    let head = it.disk.add_in(&Request::read(0, 8), header, room);
    it.disk.queue.publish();
    it.disk.queue.kick();
    let (done, completion) = it.disk.wait();
    assert_eq!((done, completion.status, completion.written), (head, Ok(()), 4097));
    // As the driver's library fills it before.
    assert_eq!(completion.bytes, vec![0xff; 4096]);
}

#[test]
fn disk_without_data_takes_writes_and_flushes_within_its_size() {
    let mut it = null("1M", USUAL);
    assert_eq!(it.frontend.blk_config().capacity, 2048);
    assert_eq!(it.disk.write(2047, &[1; SECTOR]), Ok(()));
    assert_eq!(it.disk.flush(), Ok(()));
    assert_eq!(it.disk.write(2048, &[1; SECTOR]), Err(Status::IoErr));
    assert_eq!(it.disk.read(2047, 2), Err(Status::IoErr));
    let files = it.daemon.process().descriptors();
    assert!(!files.iter().any(|name| name.contains("null:") || name.starts_with("/dev/null:")));
}

#[test]
fn size_is_said_in_any_unit() {
    for (size, sectors) in [("512", 1), ("4K", 8), ("2M", 4096), ("3G", 6 << 20), ("1T", 1 << 31)] {
        assert_eq!(null(size, USUAL).frontend.blk_config().capacity, sectors, "{size}");
    }
}

#[test]
fn size_that_is_none_is_refused() {
    for disk in
        ["null:", "null:0", "null:x", "null:1Q", "null:-1", "null:99999999T", "mem:", "mem:0"]
    {
        let launch = Daemon::blk().args(["--blk-file", disk]);
        let ran = launch.run();
        assert_eq!(ran.exit, Exit::Code(2), "{disk}: {}", ran.stderr);
        assert!(ran.stderr.contains(disk), "{disk}: {}", ran.stderr);
        assert!(!ran.touched, "a socket of a daemon that did not start");
    }
}

#[test]
fn disk_without_data_can_be_read_only() {
    let launch = Daemon::blk().args(["--blk-file", "null:1M", "--read-only"]);
    let mut it = Driven::start(launch, USUAL | RO);
    assert_eq!(it.disk.write(0, &[1; SECTOR]), Err(Status::IoErr));
}

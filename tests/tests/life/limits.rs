// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Limits that the system sets to a process, met while it serves.

use vhost_user_tests::prelude::*;

use crate::{any_blk, expect_mistake};

/// A daemon that may have `limit` descriptors open, with so many queues.
fn limited(limit: u32, queues: u32) -> vhost_user_tests::daemon::Launch {
    let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
    any_blk().args(["--num-queues", &queues.to_string()]).under(["sh", "-c", &script])
}

#[test]
fn descriptors_that_queues_will_run_out_of_are_missed_at_the_start() {
    // Two of the disk are open for each queue, and five are to come.
    let needs = |ran: &str| {
        let (_, needed) = ran.trim_end().rsplit_once("64 queues need ")?;
        let needed = needed.strip_suffix(" open descriptors, and the limit is 300")?;
        needed.parse::<u32>().ok().filter(|needed| (7 * 64 + 64..600).contains(needed))
    };
    let launch = limited(300, 64);
    let ran = launch.run();
    let needed = needs(&ran.stderr).unwrap_or_else(|| panic!("{}", ran.stderr));
    let reason = format!("64 queues need {needed} open descriptors, and the limit is 300");
    expect_mistake(&ran, &reason);
    assert!(!ran.touched, "a socket of a daemon that did not start");

    let daemon = limited(needed, 64).start();
    let mut frontend = Frontend::connect(&daemon).negotiate(USUAL);
    let mut disks: Vec<BlkQueue> = (0..64).map(|index| frontend.blk(index, 16)).collect();
    for disk in &mut disks {
        assert!(disk.read(0, 1).is_ok());
    }
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn write_beyond_the_limit_on_file_sizes_fails_and_ends_nothing() {
    let mut it = Served::blk();
    it.daemon.process().limit_file_size(16384);
    for _ in 0..3 {
        assert_eq!(it.disk.write(40, &Image::contents(1)), Err(Status::IoErr));
    }
    let reason = "queue 0: write 512 bytes at offset 20480: File too large (os error 27)";
    assert!(it.daemon.log().has(reason), "{reason}");
    assert_eq!(it.disk.write(31, &Image::contents(1)), Ok(()));
    assert_eq!(it.disk.read(40, 1), Ok(Image::contents(40)));
    assert_eq!(it.daemon.sigterm().wait(), Exit::Clean);
}

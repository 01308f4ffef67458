// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A daemon with nothing to do does nothing.

use super::*;

on_each_engine!(
    daemon_without_traffic_makes_no_context_switch,
    daemon_that_does_not_poll_serves_all_the_same,
);

/// How long nothing may happen.
const QUIET: Duration = Duration::from_secs(5);

/// But for the threads of the kernel's that an io_uring has: they wake up every five seconds to see
/// whether they are still needed.
fn switches(daemon: &Daemon) -> Vec<Thread> {
    let threads = daemon.process().threads().into_iter();
    threads.filter(|thread| !thread.name.starts_with("iou-wrk-")).collect()
}

/// With two queues that have had traffic, with polling on as it is by default; and the driver is
/// still there.
fn daemon_without_traffic_makes_no_context_switch(engine: &str) {
    let mut it = Served::blk_with(&["--io-engine", engine], USUAL);
    let mut other = it.frontend.blk(1, 16);
    for sector in 0..64 {
        for disk in [&mut it.disk, &mut other] {
            assert_eq!(disk.read(sector, 1), Ok(it.image.sector(sector)));
            assert_eq!(disk.write(sector, &Image::contents(sector)), Ok(()));
        }
    }
    assert_eq!(it.disk.flush(), Ok(()));
    // What polls does so for microseconds, and nobody else has anything left to do: from some point
    // on all is quiet.
    until("the daemon to come to rest", || {
        let before = switches(&it.daemon);
        let _ = passes(&it.daemon, Duration::from_millis(200));
        (switches(&it.daemon) == before).then_some(())
    });
    let before = switches(&it.daemon);
    assert!(passes(&it.daemon, QUIET), "it ended");
    let after = switches(&it.daemon);
    let busy: Vec<_> = after.iter().filter(|thread| !before.contains(thread)).collect();
    assert!(busy.is_empty() && before.len() == after.len(), "{busy:?}, with {before:?} before");
    assert_eq!(it.disk.read(1, 1), Ok(it.image.sector(1)));
}

/// Waits for this long, unless the daemon ends.
fn passes(daemon: &Daemon, time: Duration) -> bool {
    !Deadline::after(time).readable(&daemon.process().ended_fd())
}

fn daemon_that_does_not_poll_serves_all_the_same(engine: &str) {
    for polling in ["0", "1000"] {
        let mut it = Served::blk_with(&["--io-engine", engine, "--poll-us", polling], USUAL);
        for sector in 0..64 {
            assert_eq!(it.disk.read(sector, 1), Ok(it.image.sector(sector)));
        }
        assert_eq!(it.disk.write(1, &Image::contents(9)), Ok(()));
        assert_eq!(it.disk.flush(), Ok(()));
        assert_eq!(it.image.sector(1), Image::contents(9));
    }
}

#[test]
fn time_of_polling_that_cannot_be_is_refused() {
    let image = Image::of_sectors(8);
    for time in ["1001", "-1", "much"] {
        let launch: Launch = Daemon::blk().image(&image);
        let ran = launch.arg(format!("--poll-us={time}")).run();
        assert_eq!(ran.exit, Exit::Code(2), "{}", ran.stderr);
        assert!(ran.stderr.contains("--poll-us"), "{}", ran.stderr);
    }
}

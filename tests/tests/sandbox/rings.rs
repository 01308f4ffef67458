// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What an io_uring for each queue takes of what a user may lock in memory: who has too little is served
//! without.

use vhost_user_tests::daemon::Launch;
use vhost_user_tests::prelude::*;

/// So many queues, and room in memory for the io_urings of some of them only.
fn short_of_memory(launch: Launch) -> Launch {
    let launch = launch.args(["--num-queues", "64"]);
    launch.under(["sh", "-c", "ulimit -l 64; exec \"$0\" \"$@\""])
}

fn io_urings(daemon: &Daemon) -> usize {
    let all = daemon.process().descriptors();
    all.iter().filter(|name| *name == "anon_inode:[io_uring]").count()
}

#[test]
fn queues_that_get_no_io_uring_are_served_without_and_that_is_said_once() {
    let image = Image::of_sectors(8).of_ordinary_user();
    let launch = Daemon::blk().image(&image).as_ordinary_user();
    let daemon = short_of_memory(launch).start();
    let mut frontend = Frontend::connect(&daemon).negotiate(USUAL);
    for index in [0, 63] {
        let mut disk = frontend.blk(index, 16);
        assert_eq!(disk.read(7, 1), Ok(image.sector(7)));
        assert_eq!(disk.write(7, &Image::contents(7)), Ok(()));
        assert_eq!(disk.flush(), Ok(()));
    }
    // How much room there is depends on the kernel, and on what else this user has locked.
    let complaints = usize::from(io_urings(&daemon) < 64);
    assert_eq!(daemon.log().count("io_uring"), complaints, "{}", daemon.log().text());
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

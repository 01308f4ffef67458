// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the queues' threads do with the machine: their names, their CPUs, and that they sleep when
//! there is nothing to do.

use std::time::Duration;

use vhost_user_tests::daemon::{Launch, Thread};
use vhost_user_tests::deadline::{Deadline, until};
use vhost_user_tests::prelude::*;

mod cpus;
mod idle;

/// The names of the daemon's threads, in their order.
fn names(daemon: &Daemon) -> Vec<String> {
    daemon.process().threads().into_iter().map(|thread| thread.name).collect()
}

#[test]
fn threads_of_queues_are_named_after_them() {
    for engine in ["io_uring", "sync"] {
        let it = Served::blk_with(&["--io-engine", engine, "--num-queues", "3"], USUAL);
        let names = names(&it.daemon);
        for name in ["blk-q0", "blk-q1", "blk-q2"] {
            assert!(names.iter().any(|other| other == name), "{name} in {names:?}");
        }
        assert!(!names.iter().any(|name| name == "blk-q3"), "{names:?}");
        // Whatever the engine: some of what a disk is asked for no io_uring can do.
        assert!(names.iter().any(|name| name == "blk-io0"), "{names:?}");
    }
}

#[test]
fn engine_by_default_is_io_uring_where_that_can_be_had() {
    let [default, asked_for] = [&[][..], &["--io-engine", "io_uring"]].map(|arguments| {
        let it = Served::blk_with(arguments, USUAL);
        let links = it.daemon.process().descriptors();
        links.iter().filter(|link| link.contains("io_uring")).count()
    });
    assert!(asked_for > 0);
    assert_eq!(default, asked_for);
}

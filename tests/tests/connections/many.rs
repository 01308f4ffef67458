// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A thousand connections, one after the other.

use crate::{Host, Use};

/// How much memory of its own the daemon may have more after the last connection than after the
/// hundredth, in KiB: a page, for what the C library's allocator moves about.
const SLACK: u64 = 4;

#[test]
fn thousand_connections_use_no_more_than_a_hundred() {
    let mut it = Host::new();
    let mut after = |count: usize| -> (Use, u64) {
        while it.connections < count {
            it.serve(it.connections as u64 % 64);
        }
        let used = (it.idle(), it.daemon.rss_anon_kib());
        eprintln!("after {count} connections: {:?}, {} KiB of its own", used.0, used.1);
        used
    };
    let (hundred, early) = after(100);
    let (thousand, late) = after(1000);
    assert_eq!(thousand, hundred);
    assert!(late <= early + SLACK, "{early} KiB after 100 connections, {late} KiB after 1000");
}

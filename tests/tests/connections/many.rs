// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A thousand connections, one after the other.

use crate::{Host, Use};

/// How much the daemon may have more after the last connection than after the hundredth: the C
/// library's allocator makes room for one thread or another at any time, with two mappings for each
/// time. A connection that left something behind would be at least 900 mappings, or 900 times what
/// it left.
const MORE_MAPPINGS: usize = 64;
const MORE_KIB: u64 = 128;

/// What is in use after some connections: exactly, and about.
#[derive(Debug)]
struct Figures {
    exact: Use,
    mappings: usize,
    /// Resident memory that is the daemon's alone.
    own_kib: u64,
}

#[test]
fn thousand_connections_use_no_more_than_a_hundred() {
    let mut it = Host::new();
    let [hundred, thousand] = [100, 1000].map(|count| after(&mut it, count));
    println!("FIGURE: after 100 connections: {hundred:?}");
    println!("FIGURE: after 1000 connections: {thousand:?}");
    assert_eq!(thousand.exact, hundred.exact);
    assert_eq!(thousand.exact.shared, 0);
    assert!(thousand.mappings <= hundred.mappings + MORE_MAPPINGS);
    assert!(thousand.own_kib <= hundred.own_kib + MORE_KIB);
}

/// Serves until there were `count` connections, and says what is in use then.
fn after(it: &mut Host, count: usize) -> Figures {
    while it.connections < count {
        it.serve(it.connections as u64 % 64);
    }
    let exact = it.idle();
    Figures { exact, mappings: it.daemon.mappings(), own_kib: it.daemon.rss_anon_kib() }
}

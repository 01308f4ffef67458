// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Each front end's order of messages, as it was recorded or as its source has it, said again to a
//! daemon: every answer is as it was, and the rings serve whenever the front end has them run.
//!
//! The orders are in `tests/fixtures/orders`; `vhost_user_tests::orders::text` explains their form,
//! and the example `record` makes them anew.

mod claims;
mod fixtures;

use std::fs;
use std::path::PathBuf;

use vhost_user_tests::daemon::{Launch, binary};
use vhost_user_tests::orders::Order;
use vhost_user_tests::orders::replay::{BackEnd, Device, Seen, replay};
use vhost_user_tests::prelude::*;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/orders")
}

/// The order of this name.
fn order(name: &str) -> Order {
    let path = folder().join(format!("{name}.order"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()));
    text.parse().unwrap_or_else(|e| panic!("{name}: {e:#}"))
}

/// Says the order `name` to the device that it is for.
fn said_again(name: &str) -> Seen {
    let order = order(name);
    let image = Image::of_sectors(64);
    let (launch, device) = match order.about("device") {
        "blk" => (Daemon::blk().image(&image), Device::Blk { sector: image.sector(0) }),
        "net" => (stub("net"), Device::Net),
        "fs" => (stub("fs"), Device::Fs),
        other => panic!("there is no daemon for the device {other:?}"),
    };
    let daemon = launch.start();
    let change_config = || {
        image.set_len(65 * SECTOR as u64);
        daemon.process().signal(libc::SIGUSR1);
    };
    let socket = daemon.socket();
    let back_end = BackEnd { socket, device, change_config: &change_config };
    let seen = replay(&order, &back_end).unwrap_or_else(|e| panic!("{name}: {e:#}"));
    assert!(seen.requests > 0, "no ring of {name} ever served");
    let logs = order.messages().any(|it| it.request == u32::from(FrontendReq::SET_LOG_BASE));
    assert_eq!(seen.logged > 0, logs, "{} requests of {name} were logged", seen.logged);
    for complaint in ["warning:", "error:"] {
        assert_eq!(daemon.log().count(complaint), 0, "{}", daemon.log().text());
    }
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    seen
}

fn stub(device: &str) -> Launch {
    Launch::of(binary("vhost-user-stub")).args(["--device", device])
}

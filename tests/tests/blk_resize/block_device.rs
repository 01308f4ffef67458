// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A block device of the host that gets another size: a loop device, of which the kernel is told
//! that its file has become longer.

use vhost_user_tests::deadline::Deadline;
use vhost_user_tests::frontend::BackendMessage;
use vhost_user_tests::prelude::*;
use vhost_user_tests::requires;

use crate::{capacity, foreign, refresh, until_capacity};

#[test]
fn block_device_that_grows_and_shrinks_is_served_so() {
    let image = Image::of_sectors(64);
    let Some(device) = requires::loop_device(image.path()) else {
        return;
    };
    let daemon = Daemon::blk().arg("--blk-file").arg(device.path()).start();
    let mut frontend = Frontend::connect(&daemon).negotiate(USUAL);
    let mut disk = frontend.blk(0, 16);
    assert_eq!(capacity(&frontend), 64);
    assert_eq!(disk.read(63, 1), Ok(image.sector(63)));
    for sectors in [128, 8] {
        image.set_len(sectors * SECTOR as u64);
        refresh(&daemon);
        let log = daemon.log();
        assert!(log.has("still has"), "the device is as it was before the kernel was told");
        device.read_size_again();
        refresh(&daemon);
        until_capacity(&frontend, sectors);
        assert_eq!(disk.write(sectors - 1, &foreign(1)), Ok(()));
        assert_eq!(disk.write(sectors, &foreign(1)), Err(Status::IoErr));
        assert_eq!(disk.flush(), Ok(()));
        assert_eq!(image.sector(sectors - 1), foreign(1));
    }
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

/// Nobody tells the daemon: the kernel says it to whoever listens.
#[test]
fn block_device_that_changes_is_noticed_without_a_signal() {
    let image = Image::of_sectors(64);
    let Some(device) = requires::loop_device(image.path()) else {
        return;
    };
    let daemon = Daemon::blk().arg("--blk-file").arg(device.path()).start();
    let mut frontend = Frontend::connect(&daemon).negotiate(USUAL);
    let channel = frontend.backend_channel();
    let mut disk = frontend.blk(0, 16);
    for sectors in [128, 8] {
        image.set_len(sectors * SECTOR as u64);
        device.read_size_again();
        let said = channel.receive(Deadline::new());
        assert_eq!(said, Some(BackendMessage::config_change()));
        assert_eq!(capacity(&frontend), sectors);
        assert_eq!(disk.write(sectors - 1, &foreign(1)), Ok(()));
        assert_eq!(disk.write(sectors, &foreign(1)), Err(Status::IoErr));
        assert_eq!(disk.read(sectors, 1), Err(Status::IoErr));
    }
    assert!(channel.is_silent(), "more than one message about one change");
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

/// A device that others use, too, and that changes in other ways than its size.
#[test]
fn block_devices_that_change_elsewhere_are_not_announced() {
    let [image, other] = [64, 64].map(Image::of_sectors);
    let Some(device) = requires::loop_device(image.path()) else {
        return;
    };
    let daemon = Daemon::blk().arg("--blk-file").arg(device.path()).start();
    let frontend = Frontend::connect(&daemon).negotiate(USUAL);
    let channel = frontend.backend_channel();
    let Some(elsewhere) = requires::loop_device(other.path()) else {
        return;
    };
    other.set_len(65536);
    elsewhere.read_size_again();
    drop(elsewhere);
    // What is ours comes after all that.
    image.set_len(65536);
    device.read_size_again();
    assert_eq!(channel.receive(Deadline::new()), Some(BackendMessage::config_change()));
    assert_eq!(capacity(&frontend), 128);
    assert!(channel.is_silent(), "word of another device");
}

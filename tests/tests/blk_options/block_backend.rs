// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! `--block-backend`, as Cloud Hypervisor's daemon takes it.

use std::path::Path;

use vhost_user_tests::daemon::Launch;
use vhost_user_tests::deadline::until;
use vhost_user_tests::prelude::*;
use vhost_user_tests::requires;

/// A daemon that is told by this option alone, with `more` behind path and socket.
fn launch(image: &Image, more: &str) -> Launch {
    let launch = Daemon::blk().no_socket();
    let socket = launch.folder().join("socket");
    let (path, socket) = (image.path().display(), socket.display());
    launch.arg("--block-backend").arg(format!("path={path},socket={socket}{more}"))
}

/// It runs, and so does a front end.
fn start(launch: Launch) -> (Daemon, Frontend) {
    let socket = launch.folder().join("socket");
    let daemon = launch.start();
    until("the socket", || socket.exists().then_some(()));
    let frontend = Frontend::connect(&socket);
    (daemon, frontend)
}

#[test]
fn path_and_socket_are_enough() {
    let image = Image::of_sectors(64);
    let (daemon, frontend) = start(launch(&image, ""));
    let mut frontend = frontend.negotiate(USUAL);
    assert_eq!(frontend.get_queue_num(), 1);
    let mut disk = frontend.blk(0, 128);
    assert_eq!(disk.read(3, 1), Ok(image.sector(3)));
    assert_eq!(disk.write(3, &Image::contents(9)), Ok(()));
    assert_eq!(image.sector(3), Image::contents(9));
    assert_eq!(frontend.set_vring_num(0, 256), Err(Refused), "more than 128 descriptors");
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn number_and_size_of_queues_are_those_that_are_said() {
    let image = Image::of_sectors(64);
    let (_daemon, frontend) = start(launch(&image, ",num_queues=3,queue_size=256,poll_queue=true"));
    let mut frontend = frontend.negotiate(USUAL);
    assert_eq!(frontend.get_queue_num(), 3);
    let mut disk = frontend.blk(2, 256);
    assert_eq!(disk.read(3, 1), Ok(image.sector(3)));
}

#[test]
fn disk_is_read_only_if_that_is_said() {
    let image = Image::of_sectors(64);
    for (said, read_only) in [(",readonly=true", true), (",readonly=false", false)] {
        let (_daemon, frontend) = start(launch(&image, said));
        assert_eq!(frontend.get_features() & RO != 0, read_only, "{said}");
    }
}

#[test]
fn disk_is_past_the_page_cache_if_that_is_said() {
    let image = Image::of_sectors(64);
    if !requires::direct_io(image.path()) {
        return;
    }
    for (said, direct) in [(",direct=true", true), (",direct=false", false), ("", false)] {
        let (daemon, frontend) = start(launch(&image, said));
        let mut frontend = frontend.negotiate(USUAL);
        assert_eq!(frontend.blk(0, 16).read(3, 1), Ok(image.sector(3)));
        let flags = daemon.process().open_flags(image.path());
        assert!(!flags.is_empty(), "the image is not open");
        let any = flags.iter().any(|flags| flags & libc::O_DIRECT != 0);
        assert_eq!(any, direct, "{said}: {flags:?}");
    }
}

#[track_caller]
fn expect_refused(launch: Launch, reason: &str) {
    let ran = launch.run();
    assert_eq!(ran.exit, Exit::Code(2), "{}", ran.stderr);
    assert!(ran.stderr.contains(reason), "{reason} in: {}", ran.stderr);
}

#[test]
fn what_makes_no_sense_is_refused_and_named() {
    let image = Image::of_sectors(64);
    for (more, reason) in [
        (",nonsense=1", "nonsense"),
        (",num_queues=0", "num_queues=0"),
        (",num_queues=x", "num_queues=x"),
        (",queue_size=100", "queue_size=100"),
        (",readonly=maybe", "readonly"),
        (",direct=2", "direct"),
        (",readonly", "readonly"),
    ] {
        expect_refused(launch(&image, more), reason);
    }
    let alone = |text: &str| Daemon::blk().no_socket().args(["--block-backend", text]);
    expect_refused(alone("socket=/nowhere/socket"), "path");
    expect_refused(alone("path=/nowhere/disk.img"), "socket");
}

#[test]
fn other_ways_to_say_the_same_conflict() {
    let image = Image::of_sectors(64);
    let conflict = "cannot be used with";
    expect_refused(launch(&image, "").arg("--blk-file").arg(image.path()), conflict);
    let other: &Path = Path::new("/nowhere/socket");
    expect_refused(launch(&image, "").arg("--socket-path").arg(other), conflict);
}

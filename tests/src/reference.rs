// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A back end that is not ours, against which the front end and the driver here are checked.

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use crate::daemon::{Daemon, Launch};
use crate::image::Image;

/// The program of the package of the same name: QEMU's block layer as a daemon.
pub const PROGRAM: &str = "qemu-storage-daemon";

/// Serves `image` as a block device of `queues` queues; the socket is connected to it.
pub fn serve(image: &Image, queues: u16) -> (Daemon, UnixStream) {
    let launch = Launch::of(PathBuf::from(PROGRAM));
    let path = launch.folder().join("socket");
    let listener = UnixListener::bind(&path).expect("listen for the reference back end");
    // It answers when it has come so far; until then the connection waits in the backlog.
    let socket = UnixStream::connect(&path).expect("connect to the reference back end");
    let file = format!("driver=file,node-name=disk,filename={}", image.path().display());
    let export = "type=vhost-user-blk,id=export,node-name=disk,writable=on";
    let export = format!("{export},addr.type=fd,addr.str=3,num-queues={queues}");
    let daemon = launch.passed(OwnedFd::from(listener)).args(["--blockdev", &file]);
    (daemon.args(["--export", &export]).spawn(), socket)
}

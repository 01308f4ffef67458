// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Back ends that are not ours, against which the front end and the driver here are checked.

use std::env;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::daemon::{Daemon, Launch};
use crate::image::Image;
use crate::requires;

/// A back end that is not ours.
#[derive(Clone, Copy, Debug)]
pub enum Reference {
    /// [`PROGRAM`].
    QemuStorageDaemon,
    /// `reference-blk` of `tests/oracle`: on the `vhost-user-backend` crate.
    VhostUserBackend,
}

impl Reference {
    /// Serves `image` as a block device of `queues` queues; the socket is connected to it. `None`
    /// if the back end is not here, which is said on standard error.
    pub fn serve(self, image: &Image, queues: u16) -> Option<(Daemon, UnixStream)> {
        match self {
            Self::QemuStorageDaemon => requires::program(PROGRAM).then(|| serve(image, queues)),
            Self::VhostUserBackend => Some(serve_on_vhost_user_backend(image, queues)),
        }
    }
}

/// The program of the package of the same name: QEMU's block layer as a daemon.
pub const PROGRAM: &str = "qemu-storage-daemon";

/// Serves `image` as a block device of `queues` queues; the socket is connected to it.
pub fn serve(image: &Image, queues: u16) -> (Daemon, UnixStream) {
    serve_with(image, queues, &[])
}

/// The same, but so slowly that after the first request no other one ends before the test has.
pub fn serve_one_request(image: &Image, queues: u16) -> (Daemon, UnixStream) {
    let group = "throttle-group,id=slow,x-iops-total=1";
    let filter = "driver=throttle,node-name=slow,file=disk,throttle-group=slow";
    serve_with(image, queues, &["--object", group, "--blockdev", filter])
}

fn serve_with(image: &Image, queues: u16, arguments: &[&str]) -> (Daemon, UnixStream) {
    let launch = Launch::of(PathBuf::from(PROGRAM));
    let path = launch.folder().join("socket");
    let listener = UnixListener::bind(&path).expect("listen for the reference back end");
    // It answers when it has come so far; until then the connection waits in the backlog.
    let socket = UnixStream::connect(&path).expect("connect to the reference back end");
    let file = format!("driver=file,node-name=disk,filename={}", image.path().display());
    let node = if arguments.is_empty() { "disk" } else { "slow" };
    let export = format!("type=vhost-user-blk,id=export,node-name={node},writable=on");
    let export = format!("{export},addr.type=fd,addr.str=3,num-queues={queues}");
    let daemon = launch.passed(OwnedFd::from(listener)).args(["--blockdev", &file]).args(arguments);
    (daemon.args(["--export", &export]).spawn(), socket)
}

fn serve_on_vhost_user_backend(image: &Image, queues: u16) -> (Daemon, UnixStream) {
    // It takes its socket from standard input.
    let launch = Launch::of(PathBuf::from("/bin/sh"));
    let path = launch.folder().join("socket");
    let listener = UnixListener::bind(&path).expect("listen for the reference back end");
    let socket = UnixStream::connect(&path).expect("connect to the reference back end");
    let launch = launch.passed(OwnedFd::from(listener));
    let launch = launch.args(["-c", r#"exec "$0" "$@" <&3"#]).arg(reference_blk());
    (launch.arg(image.path()).arg(queues.to_string()).spawn(), socket)
}

/// With REFERENCE_BLK in the environment it is there. Otherwise it is built, into a folder beside
/// this test's.
fn reference_blk() -> PathBuf {
    if let Some(path) = env::var_os("REFERENCE_BLK") {
        return path.into();
    }
    let test = env::current_exe().expect("the path of this test");
    let target = test.ancestors().nth(3).expect("the target directory").join("oracle");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle/Cargo.toml");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--locked", "--bin", "reference-blk", "--manifest-path"]);
    let status = cargo.arg(manifest).arg("--target-dir").arg(&target).status();
    let status = status.expect("run cargo build");
    assert!(status.success(), "cargo build of reference-blk: {status}");
    target.join("debug/reference-blk")
}

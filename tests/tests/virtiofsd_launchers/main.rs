// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! virtiofsd as others start it: each with its own command line, its own kind of socket, standard streams
//! of its own, and its own way of ending it. Each time a guest's driver mounts the file system and reads a
//! file.

mod alone;
mod containers;
mod libvirt;
mod machines;

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vhost_user_tests::daemon::{Daemon, Exit, Launch};
use vhost_user_tests::frontend::Frontend;
use vhost_user_tests::fs::FsClient;
use vhost_user_tests::fs::share::{USUAL, new_folder};
use vhost_user_tests::fs::wire::ROOT;
use vhost_user_tests::ordinary;

/// What is in the file that is read.
const CONTENTS: &[u8] = b"what the host has written\n";

/// A folder with a file in a folder, and a place for a socket.
struct Scene {
    share: TempDir,
    room: TempDir,
}

impl Scene {
    fn new() -> Self {
        let share = new_folder();
        fs::create_dir(share.path().join("folder")).expect("make a folder");
        fs::write(share.path().join("folder/file"), CONTENTS).expect("write a file");
        let room = new_folder();
        Self { share, room }
    }

    /// The same for the ordinary user.
    fn of_ordinary_user() -> Self {
        let scene = Self::new();
        for path in [&scene.share.path().join("folder"), scene.share.path(), scene.room.path()] {
            ordinary::give(path).expect("give a folder to the ordinary user");
        }
        scene
    }

    fn shared(&self) -> String {
        self.share.path().display().to_string()
    }

    fn socket(&self) -> PathBuf {
        self.room.path().join("vfsd.sock")
    }

    /// A socket that listens already, as a launcher makes it for its child.
    fn listening(&self) -> UnixListener {
        UnixListener::bind(self.socket()).expect("bind a socket")
    }

    /// Mounts what is served at the socket, and reads the file.
    #[track_caller]
    fn mounted(&self) -> Mount {
        Mount::at(&self.socket())
    }
}

/// A guest's driver that has read the file.
struct Mount {
    frontend: Frontend,
    fs: FsClient,
}

impl Mount {
    #[track_caller]
    fn at(socket: &Path) -> Self {
        let mut frontend = Frontend::connect(socket).negotiate(USUAL);
        let mut fs = FsClient::start(&mut frontend, 1);
        fs.init();
        let mut mount = Self { frontend, fs };
        mount.expect_file();
        mount
    }

    #[track_caller]
    fn expect_file(&mut self) {
        let fs = &mut self.fs;
        let file = fs.walk(ROOT, "folder/file").expect("look the file up");
        let opened = fs.open(file.node, libc::O_RDONLY).expect("open the file");
        assert_eq!(fs.read(file.node, opened.fh, 0, 4096), Ok(CONTENTS.to_vec()));
        fs.release(file.node, opened.fh).expect("close the file");
    }

    /// The virtual machine ends.
    fn leave(self) {
        drop(self.fs);
        drop(self.frontend);
    }
}

/// The daemon, to be started with a socket at number `number`, by a launcher that says its options.
fn with_socket_as(number: u8, socket: UnixListener, options: &[&str]) -> Launch {
    // The descriptor comes as number 3.
    let move_it = match number {
        3 => "exec \"$0\" \"$@\"".to_owned(),
        number => format!("exec {number}<&3 3<&-; exec \"$0\" \"$@\""),
    };
    let launch = Launch::of("/bin/bash".into()).passed(socket);
    launch.args(["-c", &move_it]).arg(program()).args(options.iter().copied())
}

/// The daemon, which makes its socket itself.
fn with_path(options: &[&str]) -> Launch {
    Launch::of(program()).no_socket().args(options.iter().copied())
}

/// virtiofsd, or the one that is compared with it.
fn program() -> PathBuf {
    match std::env::var_os("VHOST_USER_FS_PEER") {
        Some(peer) => peer.into(),
        None => vhost_user_tests::daemon::binary("virtiofsd"),
    }
}

/// What a daemon says when front ends can connect, as Kata Containers waits for it.
const WAITING: &str = "Waiting for vhost-user socket connection";

/// Waits until the daemon says that front ends can connect.
#[track_caller]
fn expect_waiting(daemon: &Daemon) {
    assert!(daemon.log().has(WAITING), "{}", daemon.log().text());
}

/// Waits for the end of a daemon whose front end has left.
#[track_caller]
fn expect_end(daemon: &Daemon) {
    assert_eq!(daemon.wait(), Exit::Clean, "{}", daemon.log().text());
}

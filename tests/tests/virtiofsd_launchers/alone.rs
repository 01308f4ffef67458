// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Somebody at a terminal, and a service manager.

use vhost_user_tests::daemon::{Exit, Launch};
use vhost_user_tests::frontend::Frontend;
use vhost_user_tests::fs::FsClient;
use vhost_user_tests::fs::share::USUAL;
use vhost_user_tests::fs::wire::ROOT;
use vhost_user_tests::requires;

use crate::{CONTENTS, Scene, expect_end, expect_waiting, program, with_path, with_socket_as};

#[test]
fn somebody_at_a_terminal_has_a_file_read_and_ends_it_by_sigint() {
    if !requires::root() {
        return;
    }
    let scene = Scene::new();
    let (shared, socket) = (scene.shared(), scene.socket().display().to_string());
    let options = ["--socket-path", &socket, "--shared-dir", &shared];
    let daemon = with_path(&options).arg("--inode-file-handles=mandatory").spawn();
    expect_waiting(&daemon);
    let mount = scene.mounted();
    assert_eq!(daemon.sigint().wait(), Exit::Clean, "{}", daemon.log().text());
    mount.leave();
}

#[test]
fn service_with_a_socket_has_a_file_read_by_its_number_or_by_activation() {
    if !requires::root() {
        return;
    }
    let scene = Scene::new();
    let shared = scene.shared();
    let daemon = with_socket_as(3, scene.listening(), &["--fd=3", "--shared-dir", &shared]).spawn();
    scene.mounted().leave();
    expect_end(&daemon);
    let scene = Scene::new();
    let launch = Launch::of(program()).activated(scene.listening());
    let daemon = launch.args(["--shared-dir", &scene.shared()]).start();
    scene.mounted().leave();
    expect_end(&daemon);
}

#[test]
fn file_that_is_shared_alone_is_the_root_and_can_be_read() {
    if !requires::root() {
        return;
    }
    for sandbox in ["namespace", "chroot", "none"] {
        let scene = Scene::new();
        let file = scene.share.path().join("folder/file").display().to_string();
        let socket = scene.socket().display().to_string();
        let options = ["--socket-path", &socket, "--shared-dir", &file, "--sandbox", sandbox];
        let daemon = with_path(&options).spawn();
        expect_waiting(&daemon);
        let mut frontend = Frontend::connect(scene.socket()).negotiate(USUAL);
        let mut fs = FsClient::start(&mut frontend, 1);
        fs.init();
        let mode = fs.getattr(ROOT).expect("look at the file").mode;
        assert_eq!(mode & libc::S_IFMT, libc::S_IFREG, "{sandbox}");
        let opened = fs.open(ROOT, libc::O_RDONLY).expect("open the file");
        assert_eq!(fs.read(ROOT, opened.fh, 0, 4096), Ok(CONTENTS.to_vec()), "{sandbox}");
        assert_eq!(fs.lookup(ROOT, "file").map(drop), Err(libc::ENOTDIR), "{sandbox}");
        drop((fs, frontend));
        expect_end(&daemon);
    }
}

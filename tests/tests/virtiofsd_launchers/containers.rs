// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Kata Containers, KubeVirt, and those who start it in a user namespace, as Podman does.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use vhost_user_tests::daemon::{Exit, Launch};
use vhost_user_tests::fs::wire::ROOT;
use vhost_user_tests::{ordinary, requires};

use crate::{Mount, Scene, expect_end, expect_waiting, program, with_path, with_socket_as};

#[test]
fn kata_in_go_has_its_file_read_and_kills_it() {
    if !requires::root() {
        return;
    }
    for more in
        [&["--thread-pool-size=1", "--announce-submounts"][..], &["-o", "announce_submounts"]]
    {
        let scene = Scene::new();
        let shared = format!("--shared-dir={}", scene.shared());
        let options = [&["--syslog", "--cache=auto", &shared, "--fd=3"], more].concat();
        let daemon = with_socket_as(3, scene.listening(), &options).spawn();
        let mount = scene.mounted();
        daemon.sigkill();
        mount.leave();
    }
}

#[test]
fn kata_in_rust_waits_for_the_line_and_has_its_file_read() {
    if !requires::root() {
        return;
    }
    let scene = Scene::new();
    let (shared, socket) = (scene.shared(), scene.socket().display().to_string());
    let daemon = with_path(&[
        "--socket-path",
        &socket,
        "--shared-dir",
        &shared,
        "--cache",
        "auto",
        "--thread-pool-size=1",
        "--announce-submounts",
        "--xattr",
    ])
    .spawn();
    expect_waiting(&daemon);
    let mount = scene.mounted();
    daemon.sigkill();
    mount.leave();
}

#[test]
fn kata_in_rust_as_it_was_once_has_its_file_read_without_a_sandbox() {
    let scene = Scene::of_ordinary_user();
    let (shared, socket) = (scene.shared(), scene.socket().display().to_string());
    let options = ["--socket-path", &socket, "--shared-dir", &shared, "--cache", "never"];
    let daemon = with_path(&options).args(["--sandbox", "none", "--seccomp", "none"]).spawn();
    expect_waiting(&daemon);
    scene.mounted().leave();
    expect_end(&daemon);
}

#[test]
fn kubevirt_in_a_container_has_its_file_read_by_an_ordinary_user() {
    let scene = Scene::of_ordinary_user();
    let shared = format!("--shared-dir={}", scene.shared());
    let socket = format!("--socket-path={}", scene.socket().display());
    let daemon = with_path(&[
        &socket,
        &shared,
        "--sandbox=none",
        "--cache=auto",
        "--migration-on-error=guest-error",
        "--migration-mode=find-paths",
    ])
    .as_ordinary_user()
    .spawn();
    expect_waiting(&daemon);
    scene.mounted().leave();
    expect_end(&daemon);
}

#[test]
fn kubevirt_with_its_helper_has_its_file_read_with_all_users_being_one() {
    if !requires::root() {
        return;
    }
    let scene = Scene::new();
    let (shared, socket) = (scene.shared(), scene.socket().display().to_string());
    let daemon = with_path(&[
        "--socket-path",
        &socket,
        "--shared-dir",
        &shared,
        "--cache",
        "auto",
        "--sandbox",
        "chroot",
        "--modcaps=+dac_read_search:-mknod",
        "--inode-file-handles=prefer",
        "--migration-mode=file-handles",
        "--migration-on-error=guest-error",
        "--translate-uid=squash-guest:0:107:4294967295",
        "--translate-gid=squash-guest:0:107:4294967295",
        "--xattr",
    ])
    .spawn();
    expect_waiting(&daemon);
    scene.mounted().leave();
    expect_end(&daemon);
}

#[test]
fn podman_unshare_has_its_file_read_in_its_user_namespace() {
    if !requires::program("unshare") {
        return;
    }
    let scene = Scene::of_ordinary_user();
    let (shared, socket) = (scene.shared(), scene.socket().display().to_string());
    for sandbox in ["chroot", "namespace"] {
        let options = ["--socket-path", &socket, "--shared-dir", &shared, "--sandbox", sandbox];
        let launch = with_path(&options).under(["unshare", "--user", "--map-root-user", "--"]);
        let daemon = launch.as_ordinary_user().spawn();
        expect_waiting(&daemon);
        scene.mounted().leave();
        expect_end(&daemon);
    }
}

#[test]
fn user_namespace_with_the_users_of_the_host_has_its_file_read() {
    // As `podman unshare` does, by newuidmap, whoever has subordinate users.
    if !requires::root() || !requires::program("unshare") || !requires::program("newuidmap") {
        return;
    }
    let scene = Scene::of_ordinary_user();
    let anybody = Permissions::from_mode(0o777);
    fs::set_permissions(scene.share.path(), anybody).expect("let all users make files");
    let (shared, socket) = (scene.shared(), scene.socket().display().to_string());
    let user = ordinary::USER;
    let line = format!("{user}:100000:65536");
    let files = scene.room.path();
    fs::write(files.join("subid"), &line).expect("write who has which subordinate users");
    let passwd = fs::read_to_string("/etc/passwd").expect("read who there is");
    let passwd = format!("{passwd}ordinary:x:{user}:{user}::/:/bin/sh\n");
    fs::write(files.join("passwd"), passwd).expect("write who there is");
    let subid = files.join("subid").display().to_string();
    // The daemon's own maps: root is the user who starts it, the others those that belong to that one.
    let script = format!(
        "mount --bind {subid} /etc/subuid && mount --bind {subid} /etc/subgid && \
         mount --bind {} /etc/passwd && exec setpriv --reuid {user} --regid {user} --clear-groups \
         \"$0\" \"$@\"",
        files.join("passwd").display()
    );
    let (uids, gids) = (maps("--uid-map", user), maps("--gid-map", user));
    let daemon = Launch::of("unshare".into())
        .no_socket()
        .args(["--mount", "sh", "-c", &script])
        .arg(program())
        .args(["--socket-path", &socket, "--shared-dir", &shared])
        .args(uids)
        .args(gids)
        .spawn();
    expect_waiting(&daemon);
    let mut mount = Mount::at(&scene.socket());
    let made = mount.fs.mkdir(ROOT, "made", 0o755);
    made.expect("make a folder as root");
    let owner = fs::metadata(scene.share.path().join("made")).expect("look at the folder");
    assert_eq!(owner.uid(), user);
    mount.fs.caller.uid = 1000;
    mount.fs.caller.gid = 1000;
    let made = mount.fs.mkdir(ROOT, "made by another", 0o755);
    made.expect("make a folder as another user");
    let owner = fs::metadata(scene.share.path().join("made by another")).expect("look");
    assert_eq!(owner.uid(), 100_999);
    mount.leave();
    assert_eq!(daemon.wait(), Exit::Clean, "{}", daemon.log().text());
}

/// Root is `user`, and 65536 others are those from 100000 on.
fn maps(option: &str, user: u32) -> [String; 2] {
    [format!("{option}=:0:{user}:1:"), format!("{option}=:1:100000:65536:")]
}

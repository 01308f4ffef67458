// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What the operator can get wrong: said on standard error before the socket appears, exit code 2.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use vhost_user_tests::daemon::Launch;
use vhost_user_tests::prelude::*;

use crate::{any_blk, expect_mistake, expect_served};

/// The daemon says `reason` and makes no socket.
#[track_caller]
fn expect_reason(launch: Launch, reason: &str) {
    let ran = launch.run();
    expect_mistake(&ran, reason);
    assert!(!ran.touched, "a socket of a daemon that did not start");
}

/// The daemon says how it is used, `complaint` first, and makes no socket.
#[track_caller]
fn expect_usage(launch: Launch, complaint: &str) {
    let ran = launch.run();
    assert_eq!(ran.exit, Exit::Code(2), "{}", ran.stderr);
    assert!(ran.stderr.contains(complaint), "{complaint:?} in:\n{}", ran.stderr);
    assert!(!ran.touched, "a socket of a daemon that did not start");
}

#[test]
fn image_that_is_missing_is_named() {
    let launch = Daemon::blk().args(["--blk-file", "/nowhere/disk.img"]);
    let reason =
        "open disk \"/nowhere/disk.img\" read-write: No such file or directory (os error 2)";
    expect_reason(launch, reason);
}

#[test]
fn image_that_is_a_directory_is_named() {
    let launch = Daemon::blk();
    let folder = launch.folder().to_owned();
    let reason = format!("disk {folder:?} is a directory, not a regular file or a block device");
    expect_reason(launch.arg("--blk-file").arg(&folder), &reason);
}

#[test]
fn image_that_is_a_character_device_is_named() {
    let launch = Daemon::blk().args(["--blk-file", "/dev/null"]);
    let reason = "disk \"/dev/null\" is a character device, not a regular file or a block device";
    expect_reason(launch, reason);
}

#[test]
fn image_without_a_whole_block_is_named() {
    let image = Image::of([0; 511]);
    let reason = format!("disk {:?} of 511 bytes holds no block of 512 bytes", image.path());
    expect_reason(Daemon::blk().image(&image), &reason);
}

#[test]
fn image_that_is_left_out_is_asked_for() {
    expect_usage(Daemon::blk(), "--blk-file <PATH>");
}

#[test]
fn option_that_does_not_exist_is_named() {
    expect_usage(any_blk().arg("--nonsense"), "'--nonsense'");
}

#[test]
fn socket_that_is_left_out_is_asked_for() {
    let reason = "no socket: one of --socket-path, --fd and --connect is needed, \
                  or a service manager that passes a socket (LISTEN_FDS)";
    expect_reason(any_blk().no_socket(), reason);
}

#[test]
fn socket_said_twice_is_refused() {
    expect_usage(any_blk().args(["--fd", "3"]), "cannot be used with");
    expect_usage(any_blk().args(["--connect", "/nowhere"]), "cannot be used with");
}

#[test]
fn socket_in_a_folder_that_is_missing_is_named() {
    let launch = any_blk().no_socket().args(["--socket-path", "/nowhere/socket"]);
    let reason =
        "open the directory of socket \"/nowhere/socket\": No such file or directory (os error 2)";
    expect_reason(launch, reason);
}

#[test]
fn socket_path_that_is_too_long_is_named_with_the_limit() {
    let path = format!("/tmp/{}", "s".repeat(103));
    let launch = any_blk().no_socket().args(["--socket-path", &path]);
    let limit = "108 bytes, but the path of a socket has at most 107";
    expect_reason(launch, &format!("--socket-path {path:?}: {limit}"));
}

#[test]
fn file_in_the_place_of_the_socket_is_left_alone() {
    let launch = any_blk();
    let socket = launch.folder().join("socket");
    fs::write(&socket, "precious").unwrap();
    let folder = launch.folder().to_owned();
    let daemon = launch.spawn();
    assert_eq!(daemon.wait(), Exit::Code(2));
    let reason = format!("{socket:?} exists and is no socket; it is left alone");
    assert!(daemon.log().has(&reason));
    assert_eq!(fs::read_to_string(folder.join("socket")).unwrap(), "precious");
}

#[test]
fn group_of_the_socket_that_does_not_exist_is_named() {
    let launch = any_blk().args(["--socket-group", "no-such-group"]);
    expect_reason(launch, "there is no group \"no-such-group\" to give the socket to");
}

#[test]
fn mode_of_the_socket_that_is_none_is_named() {
    for mode in ["", "8", "1777", "rw"] {
        let reason = format!("--socket-mode {mode:?}: not an octal number from 0 to 777");
        expect_reason(any_blk().args(["--socket-mode", mode]), &reason);
    }
}

#[test]
fn descriptor_that_is_not_open_is_named() {
    let launch = any_blk().no_socket().args(["--fd", "77"]);
    expect_reason(launch, "file descriptor 77 was not inherited: Bad file descriptor (os error 9)");
}

#[test]
fn descriptor_that_is_no_socket_is_named() {
    let launch = any_blk().handed(File::open("/dev/null").unwrap());
    let reason = "file descriptor 3 is no socket: Socket operation on non-socket (os error 88)";
    expect_reason(launch, reason);
}

#[test]
fn descriptor_of_a_standard_stream_is_refused() {
    let launch = any_blk().no_socket().args(["--fd", "0"]);
    expect_reason(launch, "--fd 0: an inherited socket has the number 3 or a greater one");
}

#[test]
fn descriptor_that_only_other_processes_could_use_is_refused() {
    let launch = any_blk();
    let path = launch.folder().join("datagrams");
    let datagrams = std::os::unix::net::UnixDatagram::bind(path).unwrap();
    let reason = "file descriptor 3 is a socket, but no Unix stream socket";
    expect_reason(launch.handed(datagrams), reason);
}

#[test]
fn block_size_that_no_disk_has_is_named() {
    for size in ["0", "1", "513", "8192"] {
        let reason = format!("--block-size {size}: not a power of two from 512 to 4096");
        expect_reason(any_blk().args(["--block-size", size]), &reason);
    }
}

#[test]
fn number_of_queues_that_cannot_be_is_named() {
    for number in ["0", "257"] {
        let reason = format!("--num-queues {number}: not a number from 1 to 256");
        expect_reason(any_blk().args(["--num-queues", number]), &reason);
    }
    expect_usage(any_blk().args(["--num-queues", "many"]), "--num-queues");
}

#[test]
fn size_of_queues_that_cannot_be_is_named() {
    for size in ["0", "2", "3", "100", "40000"] {
        let reason = format!("--queue-size {size}: not a power of two from 4 to 32768");
        expect_reason(any_blk().args(["--queue-size", size]), &reason);
    }
}

#[test]
fn serial_that_is_too_long_is_named() {
    let reason = "--serial \"123456789012345678901\": 21 bytes, but a serial has at most 20";
    expect_reason(any_blk().args(["--serial", "123456789012345678901"]), reason);
}

#[test]
fn serial_that_cannot_be_printed_is_named() {
    let reason = "--serial \"a\\tb\": not printable ASCII";
    expect_reason(any_blk().args(["--serial", "a\tb"]), reason);
}

#[test]
fn pid_file_that_is_something_else_is_left_alone() {
    let launch = any_blk();
    let file = launch.folder().join("notes");
    fs::write(&file, "precious").unwrap();
    let daemon = launch.arg("--pid-file").arg(&file).spawn();
    assert_eq!(daemon.wait(), Exit::Code(2));
    assert!(daemon.log().has("exists and is no pid file; it is left alone"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

#[test]
fn image_that_may_only_be_read_is_served_read_only() {
    let image = Image::of_sectors(8);
    fs::set_permissions(image.path(), fs::Permissions::from_mode(0o400)).unwrap();
    let daemon = Daemon::blk().image(&image).arg("--read-only").start();
    expect_served(Frontend::connect(&daemon), &image);
}

#[test]
fn socket_that_somebody_else_listens_on_is_not_connected_to() {
    let launch = any_blk();
    let path = launch.folder().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let daemon = launch.spawn();
    assert_eq!(daemon.wait(), Exit::Code(2));
    // Connecting to find out would end a back end that serves one connection only.
    let nobody = listener.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}

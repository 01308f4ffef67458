// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Programs that are on a shared folder, and those that want of one what not every one has.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use vhost_user_tests::fs::Mounted;

use super::{run, said, succeed, word};

#[test]
fn program_on_a_shared_folder_runs_and_cannot_be_written_meanwhile() {
    let Some(mounted) = super::mounted() else { return };
    let program = mounted.path().join("program");
    fs::copy("/bin/sh", &program).expect("copy a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set the mode");
    let script = format!("echo > '{}' || echo refused", word(&program));
    let said = succeed(20, &program, &["-c", &script]);
    assert_eq!(said.trim(), "refused");
    assert_eq!(succeed(20, &program, &["-c", "echo it runs"]).trim(), "it runs");
}

#[test]
fn file_past_the_page_cache_is_what_was_written() {
    let Some(mounted) = Mounted::with(&["--allow-direct-io"]) else { return };
    let file = mounted.path().join("file");
    let to = format!("of={}", word(&file));
    let words = ["if=/dev/urandom", &to, "bs=64k", "count=64", "oflag=direct", "status=none"];
    succeed(20, "dd", &words);
    let from = format!("if={}", word(&file));
    let copy = mounted.folder.path().join("copy");
    let to = format!("of={}", word(&copy));
    succeed(20, "dd", &[&from, &to, "bs=128k", "iflag=direct", "status=none"]);
    succeed(20, "cmp", &[word(&file), word(&copy)]);
    assert_eq!(fs::metadata(&copy).expect("look at the copy").len(), 64 << 16);
}

#[test]
fn file_of_a_read_only_share_is_read_and_nothing_else() {
    let Some(mounted) = Mounted::with(&["--readonly"]) else { return };
    fs::write(mounted.folder.path().join("file"), "text").expect("write a file");
    let file = mounted.path().join("file");
    assert_eq!(fs::read_to_string(&file).expect("read the file"), "text");
    let commands = [
        "echo > file",
        "echo > new",
        "rm file",
        "mkdir new",
        "ln -s x new",
        "ln file new",
        "mv file new",
        "chmod 0 file",
        "touch file",
        "truncate -s 0 file",
        "mkfifo new",
        "chown 1 file",
    ];
    for command in commands {
        let line = format!("cd '{}' && {command}", word(mounted.path()));
        let output = run(20, "sh", &["-c", &line]);
        let text = said(&output);
        assert!(text.contains("Read-only file system"), "{command}: {}: {text}", output.status);
    }
    assert_eq!(fs::read_to_string(&file).expect("read the file"), "text");
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The files by which QEMU's management layers find back ends.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use vhost_user_tests::daemon::binary;

use super::{DAEMONS, Share, output};

/// The members of a JSON object that are strings, a line each.
fn strings(json: &str) -> BTreeMap<String, String> {
    let pairs = json.lines().filter_map(|line| line.trim().trim_end_matches(',').split_once(": "));
    let unquoted = |text: &str| text.strip_prefix('"')?.strip_suffix('"').map(str::to_owned);
    pairs.filter_map(|(name, value)| unquoted(name).zip(unquoted(value))).collect()
}

fn discovery(options: &[&str], daemon: &str) -> BTreeMap<String, String> {
    let share = Share::written(options);
    let path = share.join(format!("qemu/vhost-user/50-{daemon}.json"));
    strings(&fs::read_to_string(path).expect("read a discovery file"))
}

#[test]
fn discovery_file_has_the_members_of_qemus_schema_and_no_other() {
    for daemon in DAEMONS {
        let file = discovery(&[], daemon);
        assert_eq!(file.keys().collect::<Vec<_>>(), ["binary", "description", "type"]);
    }
}

#[test]
fn discovery_file_says_the_type_that_the_daemon_says() {
    for daemon in DAEMONS {
        let mut asked = Command::new(binary(daemon));
        let said = strings(&output(asked.arg("--print-capabilities")));
        assert_eq!(discovery(&[], daemon)["type"], said["type"]);
    }
}

#[test]
fn discovery_file_names_the_program_in_usr_bin_or_where_one_says() {
    for daemon in DAEMONS {
        assert_eq!(discovery(&[], daemon)["binary"], format!("/usr/bin/{daemon}"));
        let elsewhere = discovery(&["--bindir", "/usr/libexec"], daemon);
        assert_eq!(elsewhere["binary"], format!("/usr/libexec/{daemon}"));
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Lists of who may do what, beyond owner, group and others.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use vhost_user_tests::fs::Mounted;
use vhost_user_tests::requires;

use super::{run, succeed, word};

/// Runs a shell's command as another user.
fn as_nobody(command: &str) -> bool {
    run(20, "setpriv", &["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", command])
        .status
        .success()
}

#[test]
fn user_on_the_list_may_what_others_may_not() {
    if !requires::program("setfacl") {
        return;
    }
    let Some(mounted) = Mounted::with(&["--posix-acl"]) else { return };
    let file = mounted.path().join("file");
    fs::write(&file, "text").expect("write a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set the mode");
    let read = format!("cat '{}'", word(&file));
    assert!(!as_nobody(&read), "another user has read the file");
    succeed(20, "setfacl", &["-m", "u:65534:r", word(&file)]);
    assert!(as_nobody(&read), "the user on the list could not read the file");
    let there = mounted.folder.path().join("file");
    let said = succeed(20, "getfacl", &["-n", "-p", word(&there)]);
    assert!(said.contains("user:65534:r--"), "{said}");
}

#[test]
fn list_of_a_folder_is_that_of_what_is_made_in_it() {
    if !requires::program("setfacl") {
        return;
    }
    let Some(mounted) = Mounted::with(&["--posix-acl"]) else { return };
    let folder = mounted.path().join("folder");
    fs::create_dir(&folder).expect("make a folder");
    succeed(20, "setfacl", &["-d", "-m", "u:65534:rwx,g::rwx,o::-", word(&folder)]);
    // The list counts, and no umask does.
    let made =
        format!("umask 077; cd '{}'; echo > file; mkdir inner; echo > inner/file", word(&folder));
    succeed(20, "sh", &["-c", &made]);
    let there = mounted.folder.path().join("folder");
    for name in ["file", "inner/file"] {
        let said = succeed(20, "getfacl", &["-n", "-p", word(&there.join(name))]);
        assert!(said.contains("user:65534:rwx") && said.contains("mask::rw-"), "{name}: {said}");
        let mode = fs::metadata(there.join(name)).expect("look at a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o660, "{name}");
    }
}

#[test]
fn umask_counts_where_no_list_is() {
    let Some(mounted) = Mounted::with(&["--posix-acl"]) else { return };
    let made =
        format!("umask 027; cd '{}'; echo > file; mkdir inner; mkfifo pipe", word(mounted.path()));
    succeed(20, "sh", &["-c", &made]);
    for (name, mode) in [("file", 0o640), ("inner", 0o750), ("pipe", 0o640)] {
        let there = fs::metadata(mounted.folder.path().join(name)).expect("look at it");
        assert_eq!(there.permissions().mode() & 0o777, mode, "{name}");
    }
}

#[test]
fn program_of_root_loses_its_rights_when_another_writes_to_it() {
    for arguments in [&[][..], &["--killpriv-v2"], &["--writeback"]] {
        let Some(mounted) = Mounted::with(arguments) else { return };
        let there = mounted.folder.path().join("file");
        fs::write(&there, "text").expect("write a file");
        fs::set_permissions(&there, fs::Permissions::from_mode(0o6777)).expect("set the mode");
        let file = mounted.path().join("file");
        assert!(
            as_nobody(&format!("echo more >> '{}'", word(&file))),
            "written with {arguments:?}"
        );
        let mode = fs::metadata(&there).expect("look at it").permissions().mode();
        assert_eq!(mode & 0o7777, 0o777, "with {arguments:?}");
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What is left to it once it serves, seen from outside.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use vhost_user_tests::daemon::{Daemon, Exit, Launch, binary_with_hooks};
use vhost_user_tests::fs::Shared;
use vhost_user_tests::fs::client::{Caller, New};
use vhost_user_tests::fs::share::new_folder;
use vhost_user_tests::fs::wire::ROOT;
use vhost_user_tests::{ordinary, requires};

use crate::sharing;

/// What /proc says of it under `name`.
fn proc(daemon: &Daemon, name: &str) -> String {
    let path = of(daemon, name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()))
}

fn of(daemon: &Daemon, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/{name}", daemon.process().pid()))
}

/// A field of its status, of every thread the same.
#[track_caller]
fn field(daemon: &Daemon, name: &str) -> String {
    let tasks = fs::read_dir(of(daemon, "task")).expect("list its threads");
    let values = tasks.map(|task| {
        let status = task.expect("list its threads").path().join("status");
        let status = fs::read_to_string(status).expect("read a thread's status");
        let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
        line.expect("a field of the status").trim().to_owned()
    });
    let mut values: Vec<String> = values.collect();
    values.dedup();
    assert_eq!(values.len(), 1, "{name}: {values:?}");
    values.remove(0)
}

/// The namespace of this kind that it is in.
fn namespace(of_whom: &Path, kind: &str) -> PathBuf {
    fs::read_link(of_whom.join("ns").join(kind)).expect("read which namespace it is in")
}

fn ours(daemon: &Daemon, kind: &str) -> bool {
    namespace(&of(daemon, ""), kind) == namespace(Path::new("/proc/self"), kind)
}

/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID, MKNOD and SETFCAP, as the kernel says them.
const RIGHTS: u64 = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 27 | 1 << 31;

const DAC_READ_SEARCH: u64 = 1 << 2;

#[track_caller]
fn expect_rights(daemon: &Daemon, expected: u64) {
    for set in ["CapPrm", "CapEff"] {
        assert_eq!(field(daemon, set), format!("{expected:016x}"), "{set}");
    }
    assert_eq!(field(daemon, "CapInh"), "0000000000000000");
    assert_eq!(field(daemon, "CapAmb"), "0000000000000000");
    assert_eq!(field(daemon, "NoNewPrivs"), "1");
}

#[test]
fn directory_is_all_that_there_is_in_its_namespaces() {
    if !requires::root() {
        return;
    }
    let folder = new_folder();
    fs::write(folder.path().join("file"), "").unwrap();
    let daemon = sharing(folder.path()).start();
    for kind in ["mnt", "net", "ipc"] {
        assert!(!ours(&daemon, kind), "{kind}");
    }
    for kind in ["pid", "user"] {
        assert!(ours(&daemon, kind), "{kind}");
    }
    let names = fs::read_dir(of(&daemon, "root")).unwrap().map(|name| name.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["file"]);
    let mounts = proc(&daemon, "mountinfo");
    assert_eq!(mounts.lines().count(), 1, "{mounts}");
    let words: Vec<&str> = mounts.split_whitespace().collect();
    assert_eq!(words[4], "/", "{mounts}");
    assert!(words[5].contains("nosuid") && words[5].contains("nodev"), "{mounts}");
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn mounts_below_the_directory_are_there_before_and_after_the_start() {
    if !requires::root() || !requires::program("nsenter") {
        return;
    }
    let folder = new_folder();
    for name in ["before", "after"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let host = Host::new();
    host.run(&format!("mount -t tmpfs tmpfs {0} && : >{0}/mounted", folder_of(&folder, "before")));
    let daemon = sharing(folder.path()).under(["nsenter", &host.mounts()]).start();
    assert!(of(&daemon, "root/before/mounted").exists());
    let mounts = proc(&daemon, "mountinfo");
    let line = mounts.lines().find(|line| line.contains(" /before ")).expect("the mount");
    assert!(line.contains("nosuid,nodev"), "{line}");
    let after = folder_of(&folder, "after");
    host.run(&format!("mount -t tmpfs tmpfs {after} && : >{after}/mounted"));
    assert!(of(&daemon, "root/after/mounted").exists());
    host.run(&format!("umount {after}"));
    assert!(!of(&daemon, "root/after/mounted").exists());
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

fn folder_of(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

/// A host with mounts that this machine does not see, and which others get as systemd has it.
struct Host(Child);

impl Host {
    fn new() -> Self {
        let mut host = Command::new("unshare");
        host.args(["--mount", "--propagation", "shared", "sh", "-c", "echo; exec sleep 1000"]);
        let mut host = host.stdout(Stdio::piped()).spawn().expect("make mounts of its own");
        let mut line = [0];
        let output = host.stdout.as_mut().expect("what it says");
        output.read_exact(&mut line).expect("hear that it has mounts of its own");
        Self(host)
    }

    fn mounts(&self) -> String {
        format!("--mount=/proc/{}/ns/mnt", self.0.id())
    }

    #[track_caller]
    fn run(&self, script: &str) {
        let mut shell = Command::new("nsenter");
        let status = shell.args([&self.mounts(), "sh", "-c", script]).status();
        assert!(status.expect("run nsenter").success(), "{script}");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Its mounts go with it.
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[test]
fn rights_of_roots_are_those_that_files_take_on_every_thread() {
    if !requires::root() {
        return;
    }
    for sandbox in ["namespace", "chroot", "none"] {
        let folder = new_folder();
        let launch = sharing(folder.path()).args(["--sandbox", sandbox]);
        let daemon = launch.start();
        expect_rights(&daemon, RIGHTS | DAC_READ_SEARCH);
        assert_eq!(field(&daemon, "Groups"), "");
        assert_eq!(field(&daemon, "Umask"), "0000");
        assert_eq!(field(&daemon, "Seccomp"), "2");
        assert_eq!(daemon.sigterm().wait(), Exit::Clean);
    }
}

#[test]
fn rights_are_changed_as_typed() {
    if !requires::root() {
        return;
    }
    const SYS_ADMIN: u64 = 1 << 21;
    const MKNOD: u64 = 1 << 27;
    let folder = new_folder();
    let options = ["--inode-file-handles=never", "--modcaps=+sys_admin:-mknod"];
    let daemon = sharing(folder.path()).args(options).start();
    expect_rights(&daemon, (RIGHTS | SYS_ADMIN) & !MKNOD);
}

#[test]
fn root_directory_is_changed_without_namespaces() {
    if !requires::root() {
        return;
    }
    let folder = new_folder();
    let daemon = sharing(folder.path()).args(["--sandbox", "chroot"]).start();
    assert!(ours(&daemon, "mnt"));
    assert_eq!(fs::read_link(of(&daemon, "root")).unwrap(), folder.path());
    assert_eq!(fs::read_link(of(&daemon, "cwd")).unwrap(), folder.path());
}

#[test]
fn file_is_the_only_one_in_an_empty_root() {
    if !requires::root() {
        return;
    }
    let folder = new_folder();
    let file = folder.path().join("file");
    fs::write(&file, "contents").unwrap();
    fs::write(folder.path().join("other"), "").unwrap();
    let daemon = sharing(&file).start();
    let names = fs::read_dir(of(&daemon, "root")).unwrap().map(|name| name.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["shared"]);
    assert_eq!(fs::read_to_string(of(&daemon, "root/shared")).unwrap(), "contents");
    let daemon = sharing(&file).args(["--sandbox", "chroot"]).start();
    assert!(!of(&daemon, "root/file").exists() && !of(&daemon, "root/other").exists());
}

#[test]
fn ordinary_user_has_namespaces_and_is_told_what_cannot_work() {
    let folder = new_folder();
    ordinary::give(folder.path()).unwrap();
    let daemon = sharing(folder.path()).as_ordinary_user().start();
    for kind in ["mnt", "net", "ipc", "user"] {
        assert!(!ours(&daemon, kind), "{kind}");
    }
    let log = daemon.log();
    assert!(log.has("warning: files cannot be opened by handle here"));
    assert!(log.has("warning: in a user namespace, files of users and groups that are not in it"));
    assert_eq!(daemon.sigterm().wait(), Exit::Clean);
}

/// Where nobody is mapped but its own user, there is no root to make files as.
#[test]
fn what_a_guests_root_makes_is_the_ordinary_users() {
    let folder = new_folder();
    ordinary::give(folder.path()).unwrap();
    let owner = fs::metadata(folder.path()).unwrap().uid();
    let mut it = Shared::of(sharing(folder.path()).as_ordinary_user(), folder);
    it.fs.caller = Caller { uid: 0, gid: 0, pid: 1 };
    let (entry, opened) = it.fs.create(ROOT, "file", New::default()).unwrap();
    assert_eq!(it.fs.write(entry.node, opened.fh, 0, b"bytes"), Ok(5));
    it.fs.mkdir(ROOT, "folder", 0o755).unwrap();
    it.fs.symlink(ROOT, "link", "file").unwrap();
    it.fs.mknod(ROOT, "fifo", libc::S_IFIFO | 0o600, 0).unwrap();
    for name in ["file", "folder", "link", "fifo"] {
        let made = fs::symlink_metadata(it.path(name)).unwrap();
        assert_eq!(made.uid(), owner, "{name}");
    }
    // Others there are none.
    it.fs.caller = Caller { uid: owner + 1, gid: owner + 1, pid: 1 };
    assert_eq!(it.fs.mkdir(ROOT, "other", 0o755).unwrap_err(), libc::EPERM);
}

#[test]
fn ordinary_user_without_namespaces_is_told_what_cannot_work() {
    let folder = new_folder();
    ordinary::give(folder.path()).unwrap();
    let launch = sharing(folder.path()).args(["--sandbox", "none"]).as_ordinary_user();
    let daemon = launch.start();
    for lack in ["CAP_SETUID and CAP_SETGID", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_MKNOD"] {
        assert!(daemon.log().has(&format!("warning: without {lack}")), "{lack}");
    }
    expect_rights(&daemon, 0);
}

#[test]
fn own_user_can_be_root_inside() {
    if !requires::root() {
        return;
    }
    let folder = new_folder();
    ordinary::give(folder.path()).unwrap();
    let user = ordinary::USER;
    let maps = [format!("--uid-map=:0:{user}:1:"), format!("--gid-map=:0:{user}:1:")];
    let daemon = sharing(folder.path()).args(maps).as_ordinary_user().start();
    let map = proc(&daemon, "uid_map");
    let expected = ["0".to_owned(), user.to_string(), "1".to_owned()];
    assert!(map.split_whitespace().eq(expected), "{map}");
}

/// What comes of an attempt that a daemon with hooks makes once it serves.
#[track_caller]
fn attempt(what: &str, options: &[&str]) -> String {
    let folder = new_folder();
    let launch = Launch::of(binary_with_hooks("virtiofsd")).share(folder.path());
    let launch = launch.args(options.iter().copied()).env("VHOST_USER_ATTEMPT", what);
    let daemon = launch.start();
    let said = format!("attempt {what}: ");
    assert!(daemon.log().has(&said), "{}", daemon.log().text());
    let log = daemon.log().text();
    let outcome = log.lines().find_map(|line| line.split_once(&said)).expect("the outcome").1;
    outcome.to_owned()
}

#[test]
fn nothing_is_above_what_is_open_and_nothing_is_beside_the_directory() {
    if !requires::root() {
        return;
    }
    const NOTHING: &str = "No such file or directory (os error 2)";
    assert_eq!(attempt("up", &[]), "there is nothing above");
    assert_eq!(attempt("open", &[]), NOTHING);
    assert_eq!(attempt("create", &[]), NOTHING);
    // They fail for no reason but that.
    assert_eq!(attempt("open", &["--sandbox", "none"]), "succeeded");
    assert_eq!(attempt("up", &["--sandbox", "none"]), "succeeded");
}

#[test]
fn system_call_that_files_do_not_take_ends_it() {
    for what in ["socket", "execve", "mount", "unshare", "ptrace", "io_uring_setup"] {
        let folder = new_folder();
        let launch = Launch::of(binary_with_hooks("virtiofsd")).share(folder.path());
        let launch = launch.args(["--sandbox", "none"]).env("VHOST_USER_ATTEMPT", what);
        assert_eq!(launch.spawn().wait(), Exit::Signal(libc::SIGSYS), "{what}");
    }
}

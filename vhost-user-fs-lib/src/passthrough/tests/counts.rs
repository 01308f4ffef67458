// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! How many system calls an operation takes, as strace counts them in a process of its own.

use std::fs;
use std::process::Command;

use super::*;
use crate::passthrough::FileHandles;

/// In the environment of the process that is traced, which runs the same test.
const TRACED: &str = "VHOST_USER_FS_TRACED";

/// What is counted: `act` runs with a mark before and behind it.
fn counted<T>(act: &str, run: impl FnOnce() -> T) -> T {
    let mark = |end: &str| {
        let _ = fs::metadata(format!("/mark/{act}/{end}"));
    };
    mark("begin");
    let result = run();
    mark("end");
    result
}

/// What the traced process does.
fn act_all() {
    for (way, options) in ways() {
        let mut share = Share::new(options).unwrap();
        if way == "overlay" {
            share.overlay();
        }
        for name in ["known", "new", "gone"] {
            fs::write(share.path(name), vec![1; 4096]).unwrap();
        }
        let mut create = 0;
        let known = share.look(ROOT, "known").unwrap().inode;
        let named = |act: &str| format!("{way}-{act}");
        counted(&named("lookup"), || share.look(ROOT, "known").unwrap());
        counted(&named("lookup-new"), || share.look(ROOT, "new").unwrap());
        counted(&named("getattr"), || share.fs.attributes(&NOW, known, None).unwrap());
        let handle = counted(&named("open"), || share.open(known, libc::O_RDWR).unwrap());
        share.read(known, handle, 0, 4096).unwrap();
        counted(&named("read"), || share.read(known, handle, 0, 4096).unwrap());
        counted(&named("write"), || share.write(known, handle, 0, &[2; 4096]).unwrap());
        counted(&named("getattr-open"), || share.fs.attributes(&NOW, known, Some(handle)).unwrap());
        counted(&named("release"), || share.release(known, handle));
        counted(&named("unlink"), || share.fs.unlink(&NOW, ROOT, called(c"gone")).unwrap());
        let user = Caller { uid: 1000, gid: 1000, pid: 1 };
        fs::set_permissions(share.path("."), std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .unwrap();
        let context = Context { caller: user, may_wait: false };
        counted(&named("create"), || {
            create += 1;
            let flags = opening(libc::O_RDWR);
            share.fs.create(&context, ROOT, called(c"made"), flags, &creating(0o644)).unwrap();
        });
        let handle = share.fs.open_directory(&NOW, ROOT, 0).unwrap().handle;
        // ".", "..", "known", "new", "made"
        let mut entries = Entries { plus: true, room: 4096, found: Vec::new() };
        counted(&named("readdirplus"), || {
            share.fs.read_directory(&NOW, ROOT, handle, 0, &mut entries).unwrap();
        });
        assert_eq!(entries.found.len(), 5);
    }
}

impl Share {
    /// Mounts an overlay over what is shared, and shares that.
    fn overlay(&mut self) {
        let (path, folder) = (self.path("."), self.folder.path());
        let (upper, work) = (folder.join("upper"), folder.join("work"));
        fs::create_dir(&upper).unwrap();
        fs::create_dir(&work).unwrap();
        let (upper, work) = (upper.display(), work.display());
        let lower = path.display();
        let mounted = Command::new("mount")
            .args(["-t", "overlay", "overlay", "-o"])
            .arg(format!("lowerdir={lower},upperdir={upper},workdir={work}"))
            .arg(&path)
            .status();
        assert!(mounted.unwrap().success());
        self.fs = super::share(&path, Options::default());
        self.fs.begin(InitFlags(u64::MAX)).unwrap();
    }
}

fn ways() -> [(&'static str, Options); 4] {
    let handles = Options::default();
    let bare = Options { inode_fd_cache: 0, ..Options::default() };
    let descriptors = Options { file_handles: FileHandles::Never, ..Options::default() };
    // Where there might be handles, and the file system has none.
    let overlay = Options::default();
    [("held", handles), ("bare", bare), ("none", descriptors), ("overlay", overlay)]
}

#[test]
fn operations_take_no_more_system_calls_than_they_must() {
    if std::env::var_os(TRACED).is_some() {
        return act_all();
    }
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("calls");
    let name = "passthrough::tests::counts::operations_take_no_more_system_calls_than_they_must";
    let traced = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&log)
        // What it mounts goes with it.
        .args(["unshare", "--mount", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(TRACED, "1")
        // A leak sanitizer wants to trace the process itself.
        .env("ASAN_OPTIONS", "detect_leaks=0")
        .output();
    let calls = fs::read_to_string(&log).unwrap_or_default();
    if calls.is_empty() || Share::new(Options::default()).is_none() {
        assert!(std::env::var_os("CI").is_none(), "this test needs strace, and to be root");
        eprintln!("SKIPPED: this test needs strace, and to be root");
        return;
    }
    assert!(traced.unwrap().status.success());
    let count = |act: &str| {
        let (begin, end) = (format!("/mark/{act}/begin"), format!("/mark/{act}/end"));
        let lines = calls.lines().skip_while(|line| !line.contains(&begin)).skip(1);
        let lines: Vec<_> = lines.take_while(|line| !line.contains(&end)).collect();
        let is_ours = |line: &&&str| {
            let call = line.split_whitespace().nth(1).unwrap_or_default();
            // A build with assertions looks at each descriptor before it closes it.
            if call.starts_with("fcntl(") && line.contains("F_GETFD") {
                return false;
            }
            // Memory and the like is no matter of the file system.
            !["brk(", "mmap(", "munmap(", "mremap(", "madvise(", "futex("]
                .iter()
                .any(|other| call.starts_with(other))
        };
        let ours: Vec<_> = lines.iter().filter(is_ours).collect();
        (ours.len(), format!("{act}: {ours:#?}"))
    };
    for (act, [held, bare, none, overlay]) in [
        ("lookup", [1, 2, 1, 1]),
        // Without room for descriptors the one that was opened for this is closed.
        ("lookup-new", [4, 5, 3, 4]),
        ("getattr", [1, 3, 1, 1]),
        ("open", [1, 1, 1, 1]),
        ("read", [1, 1, 1, 1]),
        ("write", [1, 1, 1, 1]),
        ("getattr-open", [1, 1, 1, 1]),
        ("release", [1, 1, 1, 1]),
        ("unlink", [1, 1, 1, 1]),
        ("create", [7, 7, 7, 8]),
        // What was just made has no descriptor but the client's own.
        ("readdirplus", [1 + 1 + 1 + 2, 1 + 3 * 2, 1 + 3, 1 + 3]),
    ] {
        for (way, most) in [("held", held), ("bare", bare), ("none", none), ("overlay", overlay)] {
            let (calls, what) = count(&format!("{way}-{act}"));
            assert_eq!(calls, most, "{what}");
        }
    }
}

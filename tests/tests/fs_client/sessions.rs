// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A session that ends without a word of its client, a hundred times: nothing of it stays behind.

use std::fs;

use vhost_user_tests::fs::client::{Lock, New};
use vhost_user_tests::fs::wire::ROOT;
use vhost_user_tests::fs::{FsClient, Shared, share};

/// Sessions.
const ROUNDS: usize = 100;
/// Files that are open at the end of each.
const FILES: usize = 20;
/// How much more memory the daemon may have then, in KiB: what its allocator keeps.
const MORE: u64 = 2048;

/// What a guest has of the file system when it is reset: nodes, handles, locks.
fn use_it(fs: &mut FsClient) {
    let folder = fs.lookup(ROOT, "folder").expect("a name that is there").node;
    fs.opendir(folder).expect("a folder that opens");
    for number in 0..FILES {
        let node = fs.lookup(folder, number.to_string()).expect("a name that is there").node;
        let fh = fs.open(node, libc::O_RDWR).expect("a file that opens").fh;
        fs.setlk(Lock::whole(node, fh, 7, libc::F_WRLCK)).expect("a lock");
    }
    fs.create(folder, "once more", New::default()).expect("a file that is made");
}

/// Ends sessions by `end` again and again.
fn stays_flat(end: impl Fn(&mut Shared)) {
    // Each node has a descriptor then, so that one that stays is seen.
    let mut it = Shared::with(&["--inode-file-handles=never", "--posix-lock"]);
    fs::create_dir(it.path("folder")).expect("make a folder");
    for number in 0..FILES {
        fs::write(it.path(&format!("folder/{number}")), "x").expect("write a file");
    }
    end(&mut it);
    let descriptors = it.daemon.descriptors();
    let mut memory = 0;
    for round in 0..ROUNDS {
        use_it(&mut it.fs);
        assert!(it.daemon.descriptors() > descriptors + 2 * FILES, "descriptors while it is used");
        end(&mut it);
        it.daemon.expect_descriptors(descriptors);
        if round == ROUNDS / 10 {
            memory = it.daemon.rss_anon_kib();
        }
    }
    let now = it.daemon.rss_anon_kib();
    assert!(now <= memory + MORE, "{now} KiB after {ROUNDS} sessions, {memory} after some");
    it.fs.getattr(ROOT).expect("attributes");
}

#[test]
fn second_init_ends_what_was_before() {
    stays_flat(|it| _ = it.fs.init());
}

#[test]
fn destroy_ends_what_was_before() {
    stays_flat(|it| {
        it.fs.destroy().unwrap();
        it.fs.init();
    });
}

#[test]
fn reset_of_the_device_ends_what_was_before() {
    stays_flat(|it| {
        it.frontend.reset_device().unwrap();
        let features = it.frontend.features();
        it.frontend.set_features(features).unwrap();
        it.fs = FsClient::start(&mut it.frontend, 1);
        it.fs.init();
    });
}

#[test]
fn rings_that_stop_and_an_init_end_what_was_before() {
    stays_flat(|it| {
        it.frontend.get_vring_base(0);
        it.frontend.get_vring_base(1);
        it.fs = FsClient::start(&mut it.frontend, 1);
        it.fs.init();
    });
}

#[test]
fn connection_that_is_lost_ends_what_was_before() {
    let folder = share::new_folder();
    fs::create_dir(folder.path().join("folder")).unwrap();
    for number in 0..FILES {
        fs::write(folder.path().join(format!("folder/{number}")), "x").unwrap();
    }
    let launch = vhost_user_tests::prelude::Daemon::fs().share(folder.path());
    let launch = launch.args(["--inode-file-handles=never", "--posix-lock", "--keep-listening"]);
    let daemon = launch.start();
    let connect = || {
        let mut frontend =
            vhost_user_tests::prelude::Frontend::connect(&daemon).negotiate(share::USUAL);
        let mut fs = FsClient::start(&mut frontend, 1);
        fs.init();
        (frontend, fs)
    };
    drop(connect());
    let (frontend, mut fs) = connect();
    let descriptors = daemon.descriptors();
    use_it(&mut fs);
    drop((frontend, fs));
    for _ in 0..ROUNDS / 5 {
        let (_frontend, mut fs) = connect();
        daemon.expect_descriptors(descriptors);
        use_it(&mut fs);
    }
}

#[test]
fn rings_that_stop_and_go_on_without_an_init_leave_the_session_as_it_is() {
    let mut it = Shared::new();
    let (entry, opened) = it.fs.create(ROOT, "file", New::default()).unwrap();
    it.frontend.get_vring_base(0);
    it.frontend.get_vring_base(1);
    it.fs = FsClient::start(&mut it.frontend, 1);
    // As after a guest was paused: it knows of no end.
    assert_eq!(it.fs.write(entry.node, opened.fh, 0, b"on"), Ok(2));
    assert_eq!(fs::read(it.path("file")).unwrap(), b"on");
}

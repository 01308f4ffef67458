// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! A kernel that forgets all it knows while others ask for it: FORGET meets LOOKUP of the same file.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vhost_user_tests::fs::Mounted;

/// For how long.
const TIME: Duration = Duration::from_secs(4);
/// Folders, and files in each.
const FOLDERS: u64 = 10;
const FILES: u64 = 20;

/// Looks at all files, and at what is in them.
fn walk(place: &Path, turn: u64) {
    for folder in 0..FOLDERS {
        let folder = place.join(format!("{}", (folder + turn) % FOLDERS));
        assert_eq!(fs::read_dir(&folder).expect("list a folder").count() as u64, FILES);
        for file in 0..FILES {
            let text = fs::read_to_string(folder.join(file.to_string())).expect("read a file");
            assert_eq!(text, file.to_string(), "what is in a file");
        }
    }
}

fn forget_while_it_is_walked(arguments: &[&str]) {
    let Some(mounted) = Mounted::with(arguments) else { return };
    for folder in 0..FOLDERS {
        let folder = mounted.folder.path().join(folder.to_string());
        fs::create_dir(&folder).expect("make a folder");
        for file in 0..FILES {
            fs::write(folder.join(file.to_string()), file.to_string()).expect("write a file");
        }
    }
    let (end, stop, walks) = (Instant::now() + TIME, AtomicBool::new(false), AtomicU64::new(0));
    let place = mounted.path();
    thread::scope(|scope| {
        let walkers: Vec<_> = (0..3)
            .map(|walker| {
                scope.spawn({
                    let (stop, walks) = (&stop, &walks);
                    move || {
                        while !stop.load(Ordering::Relaxed) {
                            walk(place, walker);
                            walks.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        while Instant::now() < end && !walkers.iter().any(thread::ScopedJoinHandle::is_finished) {
            fs::write("/proc/sys/vm/drop_caches", "2").expect("drop the caches of this machine");
        }
        stop.store(true, Ordering::Relaxed);
    });
    let forgets = mounted.bridge.counts()[0];
    let walks = walks.into_inner();
    assert!(forgets > 50 && walks > 3, "{forgets} times forgotten, {walks} times walked");
}

#[test]
fn files_that_are_forgotten_while_they_are_looked_for_are_found() {
    forget_while_it_is_walked(&["--cache", "always"]);
}

#[test]
fn files_that_are_forgotten_are_found_where_nodes_are_descriptors() {
    forget_while_it_is_walked(&["--inode-file-handles=never"]);
}

#[test]
fn files_that_are_forgotten_are_found_where_descriptors_are_few() {
    forget_while_it_is_walked(&["--cache", "never", "--inode-fd-cache", "16"]);
}

#[test]
fn daemon_has_no_more_than_before_when_all_is_forgotten() {
    let Some(mounted) = Mounted::with(&["--inode-file-handles=never"]) else { return };
    let before = mounted.daemon.descriptors();
    for number in 0..500 {
        fs::write(mounted.path().join(number.to_string()), "x").expect("write a file");
    }
    assert!(mounted.daemon.descriptors() > before + 400, "a descriptor for each node");
    let daemon = &mounted.daemon;
    vhost_user_tests::deadline::until("the daemon to forget", || {
        fs::write("/proc/sys/vm/drop_caches", "2").expect("drop the caches of this machine");
        (daemon.descriptors() <= before + 2).then_some(())
    });
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! Several request queues at the same time.

use std::fs;
use std::thread;

use vhost_user_tests::fs::Mounted;
use vhost_user_tests::fs::share::new_folder;
use vhost_user_tests::prelude::Daemon;

/// Request queues.
const QUEUES: u8 = 4;

#[test]
fn requests_of_many_threads_go_on_all_queues() {
    let folder = new_folder();
    let launch = Daemon::fs().share(folder.path()).args(["--num-request-queues", "4"]);
    let Some(mounted) = Mounted::of(launch, folder, QUEUES) else { return };
    let place = mounted.path();
    thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                let folder = place.join(format!("{thread}"));
                fs::create_dir(&folder).expect("make a folder");
                for file in 0..200 {
                    let text = format!("{thread} {file}").repeat(500);
                    let [path, moved] = ["a", "b"].map(|name| folder.join(format!("{name}{file}")));
                    fs::write(&path, &text).expect("write a file");
                    fs::rename(&path, &moved).expect("rename a file");
                    assert_eq!(fs::read_to_string(&moved).expect("read a file"), text);
                    if file % 2 == 0 {
                        fs::remove_file(&moved).expect("remove a file");
                    }
                }
                assert_eq!(fs::read_dir(&folder).expect("list a folder").count(), 100);
            });
        }
    });
    let counts = mounted.bridge.counts();
    let few = counts.iter().skip(1).any(|count| *count < 100);
    assert!(!few, "requests on each queue, the high-priority one first: {counts:?}");
}

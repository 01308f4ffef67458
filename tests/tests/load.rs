// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The load generator of the benchmarks, against our own block device: it counts what was done, and
//! a wrong byte does not escape it.

use std::os::unix::fs::FileExt;
use std::panic;
use std::path::Path;

use vhost_user_tests::load;
use vhost_user_tests::prelude::{Daemon, Exit};

/// The length of the disk: 64 blocks.
const LEN: u64 = 64 * 4096;

/// What the load generator prints when it is told `words`.
fn ask(words: &str) -> String {
    load::run(words.split_whitespace().map(str::to_owned))
}

/// The number of that name in what it prints.
fn number(said: &str, name: &str) -> f64 {
    let (_, rest) = said.split_once(&format!("\"{name}\":")).expect("the name of a number");
    let end = rest.find([',', '}']).expect("the end of a number");
    rest[..end].parse().expect("a number")
}

/// A daemon with a file of known contents, in a folder of its own.
struct Served {
    daemon: Daemon,
    folder: tempfile::TempDir,
}

impl Served {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("make a folder");
        let file = folder.path().join("disk.img");
        let path = file.display();
        ask(&format!("make file={path} len={LEN} generations={path}.generations"));
        let daemon = Daemon::blk().arg("--blk-file").arg(&file).start();
        Self { daemon, folder }
    }

    fn file(&self) -> String {
        self.folder.path().join("disk.img").display().to_string()
    }

    fn drive(&self, words: &str) -> String {
        let socket = Path::new(self.daemon.socket()).display();
        let times = "warm=0.01 seconds=0.3";
        ask(&format!("drive socket={socket} {times} contents=known {words}"))
    }
}

#[test]
fn reads_are_counted_and_some_are_checked() {
    let served = Served::new();
    let said = served.drive(&format!("depth=8 pid={}", std::process::id()));
    assert!(number(&said, "requests") >= 64.0, "{said}");
    assert!(number(&said, "checked") >= 1.0, "{said}");
    assert_eq!(number(&said, "disk"), 262_144.0, "{said}");
    assert!(number(&said, "rss_anon_kib") > 0.0, "{said}");
    assert_eq!(served.daemon.sigterm().wait(), Exit::Clean);
}

#[test]
fn driver_that_sleeps_is_woken_in_every_way_of_notification() {
    let served = Served::new();
    for words in [
        "depth=4",
        "depth=1",
        "depth=4 notify=flags",
        "depth=4 chains=indirect",
        "depth=4 queues=3 misalign=8",
    ] {
        let said = served.drive(&format!("{words} waits=sleeping"));
        assert!(number(&said, "sleeps") >= 1.0, "{words}: {said}");
    }
}

#[test]
fn writes_are_all_checked_afterwards_and_known_to_the_next_run() {
    let served = Served::new();
    let generations = format!("generations={}.generations", served.file());
    for _ in 0..2 {
        let said = served.drive(&format!("work=write depth=16 {generations}"));
        assert_eq!(number(&said, "checked_after"), 64.0, "{said}");
    }
    let said = served.drive(&format!("depth=16 order=sequential {generations}"));
    assert!(number(&said, "checked") >= 1.0, "{said}");
}

#[test]
fn wrong_byte_in_a_block_does_not_escape() {
    let served = Served::new();
    let file = std::fs::File::options().write(true).open(served.file()).unwrap();
    for block in 0..64 {
        file.write_all_at(&[0x55], block * 4096 + 4095).unwrap();
    }
    let found = panic::catch_unwind(|| served.drive("depth=8")).unwrap_err();
    let said = found.downcast_ref::<String>().expect("a text");
    assert!(said.starts_with("the 4096 bytes at ") && said.ends_with(" are others"), "{said}");
}

#[test]
fn loops_without_a_device_are_counted() {
    for device in ["inline", "thread"] {
        let said = ask(&format!("ceiling depth=4 seconds=0.1 device={device}"));
        assert!(number(&said, "requests") >= 4.0, "{said}");
    }
    let served = Served::new();
    ask(&format!("settle file={} state=uncached", served.file()));
    ask(&format!("settle file={} state=cached", served.file()));
    let said = ask(&format!("bare file={} depth=2 seconds=0.1", served.file()));
    assert!(number(&said, "requests") >= 2.0, "{said}");
}

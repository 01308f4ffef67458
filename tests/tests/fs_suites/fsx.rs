// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! fsx: reads, writes, truncates and maps one file, and what is read must be what was written.

use std::fs;

use tempfile::TempDir;
use vhost_user_tests::fs::Mounted;
use vhost_user_tests::fs::share::tool;

use super::{CACHE_MODES, fixture, said, word};

/// Operations in each cache mode, usually.
const OPERATIONS: u32 = 20_000;

fn exercise(mode: usize) {
    let Some(fsx) = tool("fsx") else { return };
    let (arguments, maps) = CACHE_MODES[mode];
    let Some(mounted) = Mounted::with(arguments) else { return };
    let folder = TempDir::new().expect("make a folder");
    let mut config = fs::read_to_string(fixture("fsx.toml")).expect("read the configuration");
    if !maps {
        for name in ["mapread = 1", "mapwrite = 1", "invalidate = 0.1"] {
            let (left, _) = name.split_once('=').expect("a weight");
            config = config.replace(name, &format!("{left}= 0"));
        }
    }
    let file = folder.path().join("fsx.toml");
    fs::write(&file, config).expect("write the configuration");
    let (target, seed) = (mounted.path().join("file"), (mode + 1).to_string());
    let place = word(folder.path());
    let times = super::times();
    let operations = (OPERATIONS * times).to_string();
    let words = ["-N", &operations, "-S", &seed, "-f", word(&file), "-P", place, word(&target)];
    let output = super::run(100 * times, &fsx, &words);
    let text = said(&output);
    let end: Vec<&str> = text.lines().rev().take(40).collect();
    assert!(output.status.success(), "fsx with {arguments:?}: {}: {end:#?}", output.status);
}

#[test]
fn file_without_any_cache_is_what_was_written() {
    exercise(0);
}

#[test]
fn file_with_cache_auto_is_what_was_written() {
    exercise(1);
}

#[test]
fn file_with_cached_metadata_is_what_was_written() {
    exercise(2);
}

#[test]
fn file_with_cache_always_is_what_was_written() {
    exercise(3);
}

#[test]
fn file_that_is_written_back_late_is_what_was_written() {
    exercise(4);
}

#[test]
fn file_without_any_cache_that_is_mapped_is_what_was_written() {
    exercise(5);
}

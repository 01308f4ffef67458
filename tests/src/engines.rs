// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! The ways in which a daemon has the host do input and output: `--io-engine`.

use std::env;

/// Tests of what holds whichever way it is: once for each, with the option's value.
///
/// ```text
/// on_each_engine!(flush_succeeds);
///
/// fn flush_succeeds(engine: &str) {
///     let mut it = Served::blk_with(&["--io-engine", engine], USUAL);
///     assert_eq!(it.disk.flush(), Ok(()));
/// }
/// ```
#[macro_export]
macro_rules! on_each_engine {
    ($($test:ident),* $(,)?) => {
        mod with_io_uring {
            $(#[test]
            fn $test() {
                super::$test("io_uring");
            })*
        }

        mod with_threads {
            $(#[test]
            fn $test() {
                super::$test("sync");
            })*
        }
    };
}

/// What all block devices of this program are started with, too: the name of a program that runs the
/// tests of another one on threads ends in `_sync`, past the page cache in `_direct`.
pub(crate) fn arguments_of_this_program() -> &'static [&'static str] {
    let program = env::current_exe().unwrap_or_default();
    let name = program.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    // Cargo puts a hash behind the name.
    let name = name.rsplit_once('-').map_or(name, |(name, _)| name);
    match name.rsplit_once('_') {
        Some((_, "sync")) => &["--io-engine", "sync"],
        Some((_, "direct")) => &["--cache", "none"],
        _ => &[],
    }
}

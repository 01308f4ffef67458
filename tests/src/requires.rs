// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause

//! What a test needs of the machine; where it is missing, the test says so instead of passing.

use std::env;

/// Whether `program` is in the PATH; if it isn't, says so on standard error.
///
/// # Panics
/// If it is missing where nothing may be: when the environment has `CI`.
pub fn program(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    met(
        env::split_paths(&path).any(|folder| folder.join(program).is_file()),
        &format!("the program {program}"),
    )
}

/// Whether this process is root's; if it isn't, says so on standard error.
///
/// # Panics
/// If it isn't where nothing may be missing: when the environment has `CI`.
pub fn root() -> bool {
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata("/proc/self").expect("look at /proc/self").uid();
    met(owner == 0, "to be root")
}

#[expect(clippy::print_stderr, reason = "a test that does not run must be heard of")]
fn met(met: bool, what: &str) -> bool {
    if !met {
        assert!(env::var_os("CI").is_none(), "this test needs {what}");
        eprintln!("SKIPPED: this test needs {what}");
    }
    met
}
